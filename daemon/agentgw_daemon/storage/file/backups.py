"""Copies of the database: made through SQLite so that they are whole, checked before they are trusted."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agentgw_daemon.storage.sqlite.connection import DatabaseDamaged, SqliteConnection, is_damage, translated
from agentgw_daemon.storage.sqlite.filesystem import make_directory, make_private
from agentgw_daemon.system.durable import sync_path
from agentgw_daemon.system.ids import file_stamp

KEEP: Final = 3
MAX_AGE_S: Final = 24 * 3600.0  # a clean close makes a new one when the newest is older


class Backups:
    """The backups in one directory, `agentgw-TIME.db` each."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def newest_first(self) -> tuple[Path, ...]:
        """The backups, the newest first."""
        return tuple(sorted(self._directory.glob("agentgw-*.db"), reverse=True))

    def is_due(self) -> bool:
        """Tells whether there is none yet, or the newest is too old."""
        newest = next(iter(self.newest_first()), None)
        return newest is None or time.time() - newest.stat().st_mtime > MAX_AGE_S

    def make(self, connection: SqliteConnection) -> Path:
        """Copy the open database and drop the oldest copies. A copy that is cut off never gets a backup's name."""
        with translated():
            return self._make(connection)

    def _make(self, connection: SqliteConnection) -> Path:
        make_directory(self._directory)
        final = self._directory / f"agentgw-{file_stamp(fraction=True)}.db"
        partial = self._directory / ".partial"
        try:
            copy_open(connection, partial)
            partial.rename(final)
        finally:
            partial.unlink(missing_ok=True)
        sync_path(self._directory)
        for old in self.newest_first()[KEEP:]:
            old.unlink(missing_ok=True)
        return final


def copy_open(
    connection: SqliteConnection, target: Path, *, pages: int = -1, between: Callable[[], None] | None = None
) -> None:
    """Copy the open database to a new file, 0600 and on the disk when this returns.

    After each so many `pages` it calls `between`, in which the connection may be used: what is written then gets into
    the copy. What that raises ends the copying. Raises OSError for what keeps the copy from being made, and
    DatabaseDamaged where the database itself is not sound.
    """

    def progress(_status: int, _remaining: int, _total: int) -> None:
        if between is not None:
            between()

    target.unlink(missing_ok=True)
    make_private(target)
    try:
        with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as plain:
            connection.db.conn.backup(plain, pages=pages, progress=progress)
            # The copy inherits WAL mode; without it, it is one file and stays one when somebody looks at it.
            plain.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError as error:
        # SQLite does not say which of the two files it means, and a bad stick must not cost a sound database its place.
        if is_damage(error) and (problems := connection.problems()):
            raise DatabaseDamaged(problems[0]) from error
        raise OSError(errno.EIO, str(error)) from error
    sync_path(target)


def is_sound(path: Path) -> bool:
    """Tells whether the backup is a whole database of ours. Leaves no file beside it."""
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as plain:
            if plain.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                return False
            return bool(plain.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()[0])
    except sqlite3.DatabaseError:
        return False


def copy_private(source: Path, target: Path) -> None:
    """Copy a backup to a new file, 0600 and on the disk when this returns."""
    target.unlink(missing_ok=True)
    make_private(target)
    with source.open("rb") as reader, target.open("r+b") as writer:
        while block := reader.read(2**20):
            writer.write(block)
        writer.flush()
        os.fsync(writer.fileno())
