"""The one connection to the database: how it is opened, its transactions, and what its errors mean.

Nobody else opens the file: SQLite before 3.51.3 can lose commits when two connections write and checkpoint at the same
instant, so the connection takes SQLite's exclusive lock and keeps it. Used by one thread at a time.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal, Protocol, TypeVar

from agentgw.protocol.errors import StorageUnavailable
from agentgw_daemon.observability.failpoint import failpoint
from agentgw_daemon.storage.sqlite.filesystem import make_private
from agentgw_daemon.storage.sqlite.library import sqlite_utils

T = TypeVar("T")
JournalMode = Literal["WAL", "DELETE"]

# Nobody shares the file; this only bridges the moment in which a daemon that was killed is still being reaped.
_BUSY_TIMEOUT_S: Final = 0.25
_MAX_WAL_BYTES: Final = 16 * 2**20  # a WAL that grew past this is cut back at the next checkpoint

_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_IN_USE: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_UNAVAILABLE: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
    }
)


class DatabaseDamaged(Exception):
    """SQLite says that the file is not a sound database. `index_only`: the search index alone, which can be rebuilt."""

    def __init__(self, reason: str, *, index_only: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.index_only = index_only


class Runner(Protocol):
    """Runs a function on the database in its thread. What `write` returned is committed."""

    async def read(self, do: Callable[[sqlite_utils.Database], T]) -> T:
        """Run a function that only reads."""

    async def write(self, do: Callable[[sqlite_utils.Database], T]) -> T:
        """Run a function in one transaction; when it raises, nothing is written."""


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Tells whether this SQLite can lose commits when two connections write and checkpoint at the same instant.

    Fixed in 3.51.3 and in the patch releases 3.50.7 and 3.44.6 (sqlite.org/wal.html, "The WAL-Reset Bug").
    """
    if version < (3, 7, 0) or version >= (3, 51, 3):
        return False
    return not ((3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0))


class SqliteConnection:
    """An open database file. Methods raise StorageUnavailable or DatabaseDamaged for what SQLite reports."""

    def __init__(
        self,
        path: Path,
        journal_mode: JournalMode = "WAL",
        *,
        add_functions: Callable[[sqlite3.Connection], None] | None = None,
    ) -> None:
        """Open or create the file. It is closed again when that fails.

        `add_functions` makes those known that views and triggers of the file call.
        """
        with translated():
            make_private(path)
            # isolation_level None: no implicit BEGIN; every transaction is spelled out in `write`.
            plain = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            # A byte that rotted in a text must not make its row, and with it a session, unreadable.
            plain.text_factory = _decoded
            if add_functions is not None:
                add_functions(plain)
            try:
                plain.execute("PRAGMA locking_mode = EXCLUSIVE")
                plain.execute(f"PRAGMA journal_mode = {journal_mode}")
                plain.execute("PRAGMA synchronous = FULL")
                plain.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone leaves data in the drive's cache
                plain.execute("PRAGMA foreign_keys = ON")
                plain.execute(f"PRAGMA journal_size_limit = {_MAX_WAL_BYTES}")
                # The lock is taken by the first write; taking it now makes "in use elsewhere" an error of opening.
                plain.execute("BEGIN IMMEDIATE")
                plain.execute("COMMIT")
                self.db = sqlite_utils.Database(plain, execute_plugins=False)
            except BaseException:
                plain.close()
                raise

    def write(self, do: Callable[[sqlite_utils.Database], T]) -> T:
        """Run `do` in one transaction; it is committed, and on the disk, when this returns."""
        with translated():
            plain = self.db.conn
            plain.execute("BEGIN IMMEDIATE")
            try:
                failpoint("after-begin")
                result = do(self.db)
                failpoint("before-commit")
                plain.execute("COMMIT")
            except BaseException:
                # Some errors end the transaction by themselves; a second ROLLBACK would hide them.
                if plain.in_transaction:
                    plain.execute("ROLLBACK")
                raise
            failpoint("after-commit")
            return result

    def read(self, do: Callable[[sqlite_utils.Database], T]) -> T:
        """Run `do`, which only reads."""
        with translated():
            return do(self.db)

    def problems(self) -> tuple[str, ...]:
        """Problems that SQLite's quick check finds; nothing for a sound file."""
        with translated():
            found = [str(row[0]) for row in self.db.conn.execute("PRAGMA quick_check(20)")]
        return () if found == ["ok"] else tuple(found)

    def close(self) -> None:
        """Close; the last commits go from the WAL into the file."""
        with translated():
            self.db.close()


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def is_damage(error: sqlite3.Error) -> bool:
    """Tells whether SQLite says of a file that it is no sound database."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what SQLite and the disk say into our errors. A mistake of ours (bad SQL, a constraint) stays as it is."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        # The connection reports extended codes; the primary one is the low byte. Errors of the module have no code.
        extended = getattr(error, "sqlite_errorcode", 0)
        primary = extended & 0xFF
        if is_damage(error):
            raise DatabaseDamaged(str(error), index_only=extended == sqlite3.SQLITE_CORRUPT_VTAB) from error
        if primary in _IN_USE:
            raise unavailable(str(error), hint="another program has agentgw.db open; close it") from error
        if primary in _UNAVAILABLE:
            raise unavailable(str(error)) from error
        raise
    except UnicodeDecodeError as error:
        # The module fails to decode SQLite's message when that quotes a schema full of noise.
        raise DatabaseDamaged("the schema is not readable") from error
    except OSError as error:
        raise unavailable(error.strerror or str(error)) from error


def unavailable(reason: str, *, hint: str = "free disk space or check the disk, then try again") -> StorageUnavailable:
    """The error for a database that cannot be used now."""
    return StorageUnavailable(f"the database cannot be used now: {reason}", hint=hint, reason=reason)
