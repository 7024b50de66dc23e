"""The database as a whole, without trio: opening, replacing a damaged file, closing. Used by one thread at a time.

Opening never gives up on a damaged file and never destroys one: it is moved aside and the newest sound backup takes
its place, or an empty database when there is none. Nothing is acknowledged into a file that is gone: see `presence`.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar, assert_never

from agentgw.protocol.errors import ConfigRefused, StorageUnavailable
from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.deliveries.outbox import NOBODY, EventOutbox
from agentgw_daemon.storage.file.backups import Backups, copy_open, copy_private, is_sound
from agentgw_daemon.storage.file.condition import Files
from agentgw_daemon.storage.file.migrations import MIGRATIONS, pending
from agentgw_daemon.storage.file.presence import Presence, State, WrittenBack
from agentgw_daemon.storage.file.recovery import interrupt_live_turns
from agentgw_daemon.storage.file.vacuum import has_room, is_worthwhile, vacuum
from agentgw_daemon.storage.sqlite.connection import (
    DatabaseDamaged,
    JournalMode,
    SqliteConnection,
    translated,
    unavailable,
)
from agentgw_daemon.storage.sqlite.filesystem import make_directory
from agentgw_daemon.storage.sqlite.library import Migrations, sqlite_utils
from agentgw_daemon.storage.words.tables import add_functions, begin_anew, rebuild_words
from agentgw_daemon.system.durable import sync_path
from agentgw_daemon.system.ids import file_stamp, now

T = TypeVar("T")

# 4 MiB: milliseconds, in which nobody else's commit waits.
_STEP_PAGES: Final = 1024

log = logging.getLogger(__name__)


@record
class Recovery:
    """A damaged database was moved aside and replaced. `restored_from` None: by an empty one."""

    reason: str
    moved_to: str
    restored_from: str | None
    at: str


class DatabaseFiles:
    """The open database and the files around it."""

    def __init__(
        self,
        directory: Path,
        journal_mode: JournalMode,
        migrations: Migrations = MIGRATIONS,
        outbox: EventOutbox = NOBODY,
    ) -> None:
        self.files = Files(directory)
        self.backups = Backups(self.files.backups)
        self.migrated: tuple[str, ...] = ()
        self.interrupted: tuple[str, ...] = ()
        self._journal_mode: JournalMode = journal_mode
        self._migrations = migrations
        self._outbox = outbox
        self._connection: SqliteConnection | None = None
        self._presence: Presence | None = None
        self._recovery: Recovery | None = None
        # Each time that it happened, for whoever asks why.
        self.written_back: tuple[WrittenBack, ...] = ()
        # Reason why there is nothing more to be had from here: the name is somebody else's.
        self.displaced: str | None = None
        # Turns of an earlier run are still marked as running: the disk was too full to say otherwise.
        self._has_stale_turns = False
        # Only the file as the last run left it tells what turns were about to do. A backup does not: what it says is
        # still to be done may have been done since.
        self._spares_unfinished = True

    def open(self) -> None:
        """Open the file, put it right, bring its tables up to date. When it raises, nothing stays open."""
        try:
            self._open()
        except BaseException:
            self._drop_connection()
            raise

    def _open(self) -> None:
        self._open_or_replace()
        self._settle()

    def _open_or_replace(self) -> None:
        with translated():
            make_directory(self.files.directory)
            clean = self.files.was_left_clean()
            lost = self.files.lost_content()
        if lost is not None:
            self._replace(lost)
            return
        try:
            self._open_file(check=not clean)
            self._interrupt_stale_turns()
        except DatabaseDamaged as damage:
            self._replace(damage.reason)

    def read(self, do: Callable[[sqlite_utils.Database], T]) -> T:
        """Run `do`, which only reads. Damage found on the way is repaired, then StorageUnavailable raised."""
        with self._watched():
            return self._opened().read(do)

    def write(self, do: Callable[[sqlite_utils.Database], T]) -> T:
        """Run `do` in a transaction; see `read` for damage.

        What was committed into a file that is gone is written back first, or is no success.
        """
        with self._watched():
            connection = self._opened()
            if self._has_stale_turns:
                self._interrupt_stale_turns()
            result = connection.write(do)
            self._settle()
            self._look()
            return result

    def problems(self) -> tuple[str, ...]:
        """Problems that the quick check finds in the open file."""
        with self._watched():
            return self._opened().problems()

    def is_in_place(self) -> bool:
        """Tells whether `look` would find nothing to do. Some system calls, and of the database nothing is read."""
        try:
            return self._presence is None or self._presence.look() == "in place"
        except OSError:
            return False

    def look(self) -> None:
        """Write the database back where it was removed. Raises StorageUnavailable where that cannot be."""
        with self._watched():
            pass

    def backup(self) -> Path:
        """Copy the open database into the backups."""
        with self._watched():
            return self.backups.make(self._opened())

    def copy(self, target: Path, between: Callable[[], None]) -> None:
        """Copy the open database to a new file, in steps; others may use it in `between`. Raises as `copy_open`."""
        with self._watched():
            connection = self._opened()

            def go_on() -> None:
                between()
                if self._connection is not connection:
                    raise unavailable("it was replaced while it was copied", hint="try again")

            copy_open(connection, target, pages=_STEP_PAGES, between=go_on)

    def vacuum(self, may_go_on: Callable[[], bool]) -> bool:
        """Give empty pages back where that is worth it; tells whether it was done."""
        with self._watched():
            connection = self._opened()
            if not connection.read(is_worthwhile):
                return False
            with translated():
                room = has_room(connection.db, str(self.files.directory))
            return room and connection.read(lambda db: vacuum(db, may_go_on))

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """A use of the connection: the file is looked at before, what is written is ours, damage is repaired."""
        try:
            self._look()
            try:
                yield
            finally:
                self._settle()
        except DatabaseDamaged as damage:
            failure = self._repaired(damage)
            self._settle()
            raise failure from damage

    def _settle(self) -> None:
        if self._presence is not None:
            with translated():
                self._presence.settle()

    def take_recovery(self) -> Recovery | None:
        """The replacement that happened since the last call, if one did."""
        recovery, self._recovery = self._recovery, None
        return recovery

    def close(self) -> None:
        """Close, with a backup when one is due, and note that the file is as it should be."""
        try:
            self.look()
        except StorageUnavailable as error:
            if self.displaced is None:
                log.error("the database is not written back, and so lost: %s", error.message)
        connection, self._connection, self._presence = self._connection, None, None
        if connection is None:
            return
        sound = True
        try:
            if self.backups.is_due():
                self.backups.make(connection)
        except (StorageUnavailable, DatabaseDamaged, OSError) as error:
            log.warning("no backup at close: %s", error)
            sound = not isinstance(error, DatabaseDamaged)
        try:
            connection.close()
            if sound:
                self.files.write_clean_note()
        except (StorageUnavailable, DatabaseDamaged, OSError) as error:
            log.warning("the database was not closed cleanly and will be checked at the next start: %s", error)

    def _look(self) -> None:
        """Make sure that the name leads to what is open. Raises StorageUnavailable and DatabaseDamaged."""
        if self._connection is None or self._presence is None:
            return
        with translated():
            state = self._presence.look()
        match state:
            case "in place":
                pass
            case "removed" | "log removed":
                self._write_back(self._connection, self._presence, state)
            case "taken":
                with translated():
                    kept = self._presence.keep_aside(self._connection, file_stamp())
                raise self._displace(f"another file was put in the place of agentgw.db; what it was is kept in {kept}")
            case "overwritten":
                with translated():
                    kept = self._presence.let_go(self._connection, file_stamp())
                raise self._displace(f"another program wrote into agentgw.db; its log is kept in {kept}")
            case "folder gone":
                raise self._displace(f"{self.files.directory} was removed or moved away")
            case _:
                assert_never(state)

    def _write_back(self, connection: SqliteConnection, presence: Presence, state: State) -> None:
        what = "agentgw.db" if state == "removed" else "agentgw.db-wal"
        log.error("%s was removed while it was open", what)
        with translated():
            presence.write_back(connection, state, file_stamp())
        # SQLite sees that the file it has open is not the one of that name, and leaves both alone.
        self._drop_connection()
        self._open_file(check=False)
        self.written_back = (*self.written_back, WrittenBack(what=what, at=now()))
        log.error("%s was written back; nothing is lost", self.files.database)

    def _displace(self, reason: str) -> StorageUnavailable:
        """Give it up, as nothing of what is asked for from now on would last."""
        log.error("%s", reason)
        self.displaced = reason
        self._drop_connection()
        return _displaced(reason)

    def _opened(self) -> SqliteConnection:
        if self.displaced is not None:
            raise _displaced(self.displaced)
        if self._connection is None:
            # A replacement failed half-way, say on a full disk: every call tries again.
            self.open()
        assert self._connection is not None
        return self._connection

    def _open_file(self, *, check: bool) -> None:
        connection = SqliteConnection(self.files.database, self._journal_mode, add_functions=add_functions)
        try:
            self._prepare(connection, check=check)
            with translated():
                presence = Presence(self.files)
        except DatabaseDamaged:
            self._connection = connection  # `_replace` closes it, after it moved the files
            raise
        except BaseException:
            connection.close()
            raise
        self._connection, self._presence = connection, presence

    def _prepare(self, connection: SqliteConnection, *, check: bool) -> None:
        problems = connection.problems() if check else ()
        if problems:
            raise DatabaseDamaged(problems[0])
        with self._understood():
            needed = connection.read(lambda db: pending(db, self._migrations))
        with translated():
            self.files.drop_clean_note()
        if needed:
            if connection.read(lambda db: bool(self._migrations.applied(db))):
                self.backups.make(connection)
            with self._understood():
                connection.read(self._migrations.apply)
            self.migrated = needed
        connection.write(begin_anew)

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        """Refuses tables that are not those that our steps expect. They stay: nobody knows whose they are."""
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.IntegrityError, LookupError) as error:
            raise ConfigRefused(
                f"{self.files.database} cannot be brought up to date, or is another program's: {error}",
                hint="move it away, or put a backup in its place: agentgw restore FILE",
            ) from error

    def _repaired(self, damage: DatabaseDamaged) -> StorageUnavailable:
        """Put the running database right and give the error for the operation that met the damage."""
        if damage.index_only and self._rebuilt_index():
            return StorageUnavailable("the search index was damaged and has been rebuilt", hint="try again")
        self._replace(damage.reason)
        return StorageUnavailable(
            "the database was damaged and has been replaced; the old file is kept",
            hint="see `agentgw doctor`",
            reason=damage.reason,
        )

    def _rebuilt_index(self) -> bool:
        try:
            self._opened().write(_rebuild_indexes)
        except DatabaseDamaged:
            return False
        return True

    def _replace(self, reason: str) -> None:
        """Move the damaged file aside and open the newest sound backup, else an empty database."""
        log.error("the database is damaged: %s", reason)
        self._spares_unfinished = False
        with translated():
            backup = next(filter(is_sound, self.backups.newest_first()), None)
            # The copy is made first: a disk too full for it leaves everything as it was.
            restored = self.files.directory / "agentgw.db.restored"
            if backup is not None:
                copy_private(backup, restored)
            moved_to = self.files.move_aside(file_stamp())
            # Only now: closing may write the log into the file and remove it under its own name.
            self._drop_connection()
            if backup is not None:
                restored.replace(self.files.database)
            else:
                self.files.database.unlink(missing_ok=True)
            sync_path(self.files.directory)
        self._recovery = Recovery(
            reason=reason, moved_to=str(moved_to), restored_from=str(backup) if backup else None, at=now()
        )
        log.error("moved to %s, replaced by %s", moved_to, backup or "an empty database")
        try:
            self._open_file(check=False)
            self._interrupt_stale_turns()
        except DatabaseDamaged as damage:
            # A file that was sound a moment ago: the disk itself fails. Ending here is what keeps this from looping.
            self._drop_connection()
            raise unavailable(damage.reason) from damage

    def _drop_connection(self) -> None:
        connection, self._connection, self._presence = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(StorageUnavailable, DatabaseDamaged):
                connection.close()

    def _interrupt_stale_turns(self) -> None:
        assert self._connection is not None
        self._has_stale_turns = True
        try:
            spare, outbox = self._spares_unfinished, self._outbox
            self.interrupted = self._connection.write(lambda db: interrupt_live_turns(db, spare=spare, outbox=outbox))
        except sqlite3.OperationalError as error:
            # Our statements fit our tables, so these are not: a rotted schema passes the quick check.
            raise DatabaseDamaged(str(error)) from error
        except StorageUnavailable as error:
            log.warning("turns of the last run are not marked yet: %s", error)
            return
        self._has_stale_turns = self._spares_unfinished = False


def _displaced(reason: str) -> StorageUnavailable:
    return unavailable(reason, hint="agentgw stops; the next command starts it with the files that are there now")


def _rebuild_indexes(db: sqlite_utils.Database) -> None:
    db.execute("INSERT INTO messages_fts (messages_fts) VALUES ('rebuild')")
    rebuild_words(db)
