"""Putting a backup in the place of the database: a program of its own, as no daemon may run meanwhile.

    python -m agentgw_daemon.storage.file.restoring [--check] FILE

It takes the daemon's lock, copies the backup, examines the copy, brings it up to date, moves what was there aside and
gives the copy its name. A kill at any step leaves the old database or the new one. Prints one JSON line, or one line
on standard error and an exit status.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import stat
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agentgw import __version__
from agentgw.local.directories import prepare, refuse_sudo
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from agentgw.protocol.errors import AgentgwError, BackupRefused, ConfigRefused, StorageUnavailable
from agentgw.protocol.records.schema import record
from agentgw_daemon.lifecycle import lock
from agentgw_daemon.storage.deliveries.outbox import NOBODY
from agentgw_daemon.storage.file.backups import copy_private
from agentgw_daemon.storage.file.condition import Files
from agentgw_daemon.storage.file.migrations import MIGRATIONS, pending, tables_after, tables_of
from agentgw_daemon.storage.file.recovery import interrupt_live_turns
from agentgw_daemon.storage.sqlite.connection import DatabaseDamaged, SqliteConnection, translated
from agentgw_daemon.storage.sqlite.filesystem import make_directory, size_of
from agentgw_daemon.storage.sqlite.library import sqlite_utils
from agentgw_daemon.storage.words.tables import add_functions
from agentgw_daemon.system.durable import sync_path
from agentgw_daemon.system.ids import file_stamp

# A daemon that was just told to stop still closes its database.
_PATIENCE_S: Final = 10.0


@record
class Restored:
    """Result of a restore."""

    sessions: int
    # The directory that holds the database that was there; None when there was none.
    kept: str | None


def examine(path: Path) -> int:
    """Count the sessions of a backup that can be used. Leaves no file beside it.

    Raises BackupRefused, and ConfigRefused for one of a newer version.
    """
    _refuse_other_than_file(path)
    if size_of(path.with_name(f"{path.name}-wal")):
        raise BackupRefused(
            f"{path} is a database in use: it has a log beside it", hint="agentgw backup makes a file that is whole"
        )
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as plain:
            problems = [str(row[0]) for row in plain.execute("PRAGMA integrity_check(1)")]
            if problems != ["ok"]:
                raise BackupRefused(f"{path} is damaged: {problems[0] if problems else 'it says nothing'}")
            _refuse_other_tables(path, sqlite_utils.Database(plain, execute_plugins=False))
            return int(plain.execute("SELECT count(*) FROM sessions").fetchone()[0])
    except (sqlite3.DatabaseError, UnicodeDecodeError, LookupError) as error:
        raise BackupRefused(f"{path} is no database of agentgw's, or damaged: {error}") from None


def _refuse_other_tables(path: Path, db: sqlite_utils.Database) -> None:
    """Other tables than ours would be met when they are used, and triggers run with everything that is written."""
    applied = [step.name for step in MIGRATIONS.applied(db)]
    if not applied:
        raise BackupRefused(f"{path} is no database of agentgw's")
    try:
        pending(db, MIGRATIONS)
    except ConfigRefused as error:
        raise ConfigRefused(f"{path}: {error.message}", hint="upgrade agentgw first") from None
    wanted, found = tables_after(applied), tables_of(db)
    for name, columns in wanted.items():
        if name not in found:
            raise BackupRefused(f"{path} is no database of agentgw's, or incomplete: it has no {name}")
        if missing := columns - found[name]:
            raise BackupRefused(f"{path} is no database of agentgw's: its {name} has no {min(missing)}")
    triggers = {str(row[0]) for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    if strangers := triggers - tables_after().keys():
        raise BackupRefused(f"{path} was changed by somebody: it has the trigger {min(strangers)}")


def restore(directory: Path, backup: Path) -> Restored:
    """Put the backup in place; the caller holds the daemon's lock. Raises BackupRefused and StorageUnavailable."""
    files = Files(directory)
    with translated():
        make_directory(directory)
        _refuse_other_than_file(backup)
        if files.database.exists() and files.database.samefile(backup):
            raise BackupRefused(f"{backup} is the database itself")
        copy = directory / "agentgw.db.restored"
        try:
            copy_private(backup, copy)
            # The copy, as the file may change under our eyes.
            sessions = examine(copy)
            _bring_up_to_date(copy)
            _empty_log(files)
            kept = str(files.move_aside(file_stamp(), "replaced")) if files.database.exists() else None
            # The log of a database that was removed would be taken for this one's.
            for left in (files.wal, files.shm, files.journal, files.clean_note):
                left.unlink(missing_ok=True)
            copy.replace(files.database)
        finally:
            copy.unlink(missing_ok=True)
        files.write_clean_note()
    return Restored(sessions=sessions, kept=kept)


def _refuse_other_than_file(path: Path) -> None:
    """Reading a pipe or a device may never end."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise BackupRefused(f"{path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise BackupRefused(f"{path} is no file")


def _empty_log(files: Files) -> None:
    """Put what a killed daemon left in its log into its database, so that they are one file."""
    if not size_of(files.wal):
        return
    # A damaged one is kept as it is.
    with contextlib.suppress(DatabaseDamaged, StorageUnavailable):
        SqliteConnection(files.database).close()


def _bring_up_to_date(copy: Path) -> None:
    connection = SqliteConnection(copy, "DELETE", add_functions=add_functions)
    try:
        if connection.read(lambda db: pending(db, MIGRATIONS)):
            connection.read(MIGRATIONS.apply)
        # What it says is still to be done may have been done since.
        connection.write(lambda db: interrupt_live_turns(db, spare=False, outbox=NOBODY))
    finally:
        connection.close()
    sync_path(copy)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; gives its exit status."""
    os.umask(0o077)
    *flags, name = sys.argv[1:] if arguments is None else arguments
    try:
        done = {"sessions": examine(Path(name))} if "--check" in flags else _restore(Path(name))
    except DatabaseDamaged as error:
        return _refuse(BackupRefused(f"{name} is damaged: {error.reason}"))
    except AgentgwError as error:
        return _refuse(error)
    except OSError as error:
        return _refuse(StorageUnavailable(f"the database cannot be written: {error.strerror or error}"))
    except sqlite3.Error as error:
        # Of its rows: the tables are ours.
        return _refuse(BackupRefused(f"{name} cannot be brought up to date: {error}"))
    print(json.dumps(done))
    return 0


def _restore(backup: Path) -> dict[str, object]:
    environment = Environment()
    refuse_sudo(environment)
    paths = Paths(environment)
    prepare(paths)
    held = lock.acquire(paths.lock_file, instance=str(uuid.uuid4()), version=__version__, patience_s=_PATIENCE_S)
    try:
        done = restore(Path(paths.data_dir), backup)
        # Generations of documents may come again with other contents.
        shutil.rmtree(paths.index_dir, ignore_errors=True)
    finally:
        held.close()
    return {"sessions": done.sessions, "kept": done.kept}


def _refuse(error: AgentgwError) -> int:
    line = f"{error.message}. {error.advice}" if error.advice else error.message
    os.write(2, f"{line}\n".encode("utf-8", "replace"))
    return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
