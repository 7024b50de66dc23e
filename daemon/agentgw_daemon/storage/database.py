"""The database as the daemon sees it: async, one thread at a time, acknowledged means committed.

Every operation runs in a worker thread under a limiter of one. One that has started there ends, cancelled or not, and
its caller gets the result; one that still waits for the thread is cancelled.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import trio

from agentgw.protocol.calls.daemon import StatsResult
from agentgw.protocol.errors import StorageUnavailable
from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.deliveries.deliveries import Deliveries
from agentgw_daemon.storage.deliveries.outbox import EventOutbox
from agentgw_daemon.storage.documents.changes import DocumentChanges
from agentgw_daemon.storage.documents.chunks import Chunks
from agentgw_daemon.storage.documents.documents import Documents
from agentgw_daemon.storage.documents.embeddings import Embeddings
from agentgw_daemon.storage.documents.watched import WatchedFolders
from agentgw_daemon.storage.file.presence import WrittenBack
from agentgw_daemon.storage.file.store import DatabaseFiles, Recovery
from agentgw_daemon.storage.jobs.job_store import JobStore
from agentgw_daemon.storage.sessions.approvals import Approvals
from agentgw_daemon.storage.sessions.calls import Calls
from agentgw_daemon.storage.sessions.feedback import Ratings
from agentgw_daemon.storage.sessions.log import TurnLogStore
from agentgw_daemon.storage.sessions.retention import forget_logs
from agentgw_daemon.storage.sessions.sessions import Sessions
from agentgw_daemon.storage.sessions.statistics import count_all, count_sessions
from agentgw_daemon.storage.sessions.steps import StepStore
from agentgw_daemon.storage.sessions.summaries import Summaries
from agentgw_daemon.storage.sessions.turns import TurnStore
from agentgw_daemon.storage.sessions.unfinished import Unfinished
from agentgw_daemon.storage.sqlite.connection import JournalMode, has_wal_reset_bug
from agentgw_daemon.storage.sqlite.filesystem import MOUNTINFO, answers_at_once, filesystem_type, is_network
from agentgw_daemon.storage.sqlite.library import sqlite_utils
from agentgw_daemon.storage.trust import Trust
from agentgw_daemon.system.ticks import until_tick_s

T = TypeVar("T")

# A file that is removed while nobody writes is back so soon; a few system calls each time.
LOOK_EVERY_S: Final = 5.0

log = logging.getLogger(__name__)


@record
class OpenedDatabase:
    """Results of opening the database."""

    sqlite_version: str
    wal_reset_bug: bool
    journal_mode: JournalMode
    migrated: tuple[str, ...]
    interrupted: tuple[str, ...]
    recovery: Recovery | None
    warnings: tuple[str, ...]


class _Thread:
    """Runs functions on the store, one at a time, and tells what became of the file."""

    def __init__(
        self, store: DatabaseFiles, on_recovered: Callable[[Recovery | WrittenBack], None], outbox: EventOutbox
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._on_recovered = on_recovered
        self._told = 0
        self.displaced = trio.Event()
        self._limiter = trio.CapacityLimiter(1)

    async def read(self, do: Callable[[sqlite_utils.Database], T]) -> T:
        return await self.run(lambda: self._store.read(do))

    async def write(self, do: Callable[[sqlite_utils.Database], T]) -> T:
        return await self.run(lambda: self._store.write(do))

    async def run(self, do: Callable[[], T]) -> T:
        try:
            return await trio.to_thread.run_sync(do, abandon_on_cancel=False, limiter=self._limiter)
        finally:
            self._tell()

    @property
    def is_free(self) -> bool:
        """True while nobody uses the store."""
        return not self._limiter.borrowed_tokens

    @property
    def has_waiting(self) -> bool:
        """True while somebody waits for the thread."""
        return bool(self._limiter.statistics().tasks_waiting)

    async def run_in_steps(self, do: Callable[[Callable[[], None]], T]) -> T:
        """Run as `run` does, for what takes long: `do` is given a function that lets those who wait go first.

        It raises Cancelled there when the caller was cancelled.
        """
        turn = object()

        async def let_others() -> None:
            self._limiter.release_on_behalf_of(turn)
            with trio.CancelScope(shield=True):
                await self._limiter.acquire_on_behalf_of(turn)
            await trio.lowlevel.checkpoint_if_cancelled()

        await self._limiter.acquire_on_behalf_of(turn)
        try:
            return await trio.to_thread.run_sync(lambda: do(partial(trio.from_thread.run, let_others)))
        finally:
            self._limiter.release_on_behalf_of(turn)
            self._tell()

    def _tell(self) -> None:
        recovery = self._store.take_recovery()
        if recovery is not None:
            self._on_recovered(recovery)
        for returned in self._store.written_back[self._told :]:
            self._told += 1
            self._on_recovered(returned)
        if self._store.displaced is not None:
            self.displaced.set()
        self._outbox.tell()


class Database:
    """The open database. Its attributes hold the operations on each kind of thing that is stored."""

    def __init__(
        self,
        store: DatabaseFiles,
        thread: _Thread,
        opened: OpenedDatabase,
        changes: DocumentChanges,
        outbox: EventOutbox,
        *,
        looks_at_once: bool,
    ) -> None:
        """Wrap an open store; use `open`."""
        self.opened = opened
        self.outbox = outbox
        self.deliveries = Deliveries(thread)
        self.sessions = Sessions(thread, outbox)
        self.turns = TurnStore(thread, outbox)
        self.log = TurnLogStore(thread)
        self.approvals = Approvals(thread)
        self.calls = Calls(thread, outbox)
        self.steps = StepStore(thread)
        self.unfinished = Unfinished(thread, outbox)
        self.feedback = Ratings(thread, outbox)
        self.summaries = Summaries(thread)
        self.changes = changes
        self.documents = Documents(thread, self.changes)
        self.chunks = Chunks(thread)
        self.embeddings = Embeddings(thread, self.changes)
        self.trust = Trust(thread)
        self.watched = WatchedFolders(thread)
        self.jobs = JobStore(thread, outbox)
        self._store = store
        self._thread = thread
        self._looks_at_once = looks_at_once

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        data_dir: Path,
        *,
        on_recovered: Callable[[Recovery | WrittenBack], None] = lambda _: None,
        outbox: EventOutbox | None = None,
        mountinfo: Path = MOUNTINFO,
    ) -> AsyncIterator[Database]:
        """Open `data_dir`/agentgw.db, repaired and up to date; it is closed, and backed up once a day, at the end.

        `on_recovered` is called, on trio's thread, when the running database had to be replaced or written back. Raises
        StorageUnavailable when it cannot be opened at all, ConfigRefused when a newer agentgw wrote it.
        """
        place = _place(data_dir, mountinfo)
        outbox = outbox or EventOutbox()
        store = DatabaseFiles(data_dir, place.journal_mode, outbox=outbox)
        changes = DocumentChanges()

        def on_replaced(recovery: Recovery | WrittenBack) -> None:
            if isinstance(recovery, Recovery):
                changes.tell_replaced()
            on_recovered(recovery)

        limiter_thread = _Thread(store, on_replaced, outbox)
        try:
            await trio.to_thread.run_sync(store.open)
            opened = OpenedDatabase(
                sqlite_version=sqlite3.sqlite_version,
                wal_reset_bug=has_wal_reset_bug(sqlite3.sqlite_version_info),
                journal_mode=place.journal_mode,
                migrated=store.migrated,
                interrupted=store.interrupted,
                recovery=store.take_recovery(),
                warnings=place.warnings,
            )
            _report(opened)
            yield cls(store, limiter_thread, opened, changes, outbox, looks_at_once=place.answers_at_once)
        finally:
            with trio.CancelScope(shield=True):
                await limiter_thread.run(store.close)

    async def extent(self) -> tuple[int, int]:
        """The numbers of sessions and of bytes; for who asks every few seconds, as `statistics` reads all turns."""
        return await self._thread.read(lambda db: (count_sessions(db), self.size_bytes()))

    async def statistics(self) -> StatsResult:
        """Counts since the database was made."""
        return await self._thread.read(lambda db: count_all(db, self.size_bytes()))

    async def check(self) -> tuple[str, ...]:
        """Problems that SQLite's quick check finds; nothing for a sound file. Reads all of it."""
        return await self._thread.run(self._store.problems)

    async def backup(self) -> Path:
        """Copy the database into `data_dir`/backups and give the copy's path."""
        return await self._thread.run(self._store.backup)

    async def copy_to(self, target: Path) -> None:
        """Copy the database to a new file; turns go on meanwhile. Raises OSError for what is wrong with that file."""
        await self._thread.run_in_steps(lambda between: self._store.copy(target, between))

    async def vacuum(self, limit_s: float, is_idle: Callable[[], bool]) -> bool:
        """Give empty pages back where there are many; tells whether it was done. Whoever waits ends it."""
        deadline = time.monotonic() + limit_s

        def may_go_on() -> bool:
            return time.monotonic() < deadline and not self._thread.has_waiting and is_idle()

        return await self._thread.run(lambda: self._store.vacuum(may_go_on))

    async def forget_logs(self, before: str, after_n: int) -> tuple[int, int | None]:
        """See `retention.forget_logs`."""
        return await forget_logs(self._thread, before, after_n)

    @property
    def written_back(self) -> tuple[WrittenBack, ...]:
        """The times that the file or its log was removed since it was opened."""
        return self._store.written_back

    async def stay_in_place(self, drain: Callable[[str], None]) -> None:
        """Look after the file's name for as long as it is ours; `drain` is told why it is so no more."""
        reported = ""
        while not self._thread.displaced.is_set():
            with trio.move_on_after(until_tick_s(LOOK_EVERY_S)):
                await self._thread.displaced.wait()
            try:
                await self._look()
                reported = ""
            except StorageUnavailable as error:
                if error.message != reported:
                    log.error("%s", error.message)
                reported = error.message
        drain(self._store.displaced or "")

    async def _look(self) -> None:
        # Nearly always all is as it was, and to find that out takes less than to wake a thread. Whoever uses the store
        # looks by himself.
        if not (self._looks_at_once and self._thread.is_free and self._store.is_in_place()):
            await self._thread.run(self._store.look)

    def size_bytes(self) -> int:
        """Bytes of the file and its log."""
        return self._store.files.size_bytes()


@record
class _Place:
    """The filesystem that holds the database, in its consequences."""

    journal_mode: JournalMode = "WAL"
    warnings: tuple[str, ...] = ()
    answers_at_once: bool = False


def _place(data_dir: Path, mountinfo: Path) -> _Place:
    try:
        table = mountinfo.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # not Linux
        table = ""
    kind = filesystem_type(data_dir.resolve(), table)
    if not is_network(kind):
        return _Place(answers_at_once=answers_at_once(kind))
    warning = (
        f"{data_dir} is on a network filesystem ({kind}): slower, and its locks may not hold; use a local directory"
    )
    return _Place(journal_mode="DELETE", warnings=(warning,))


def _report(opened: OpenedDatabase) -> None:
    log.info("SQLite %s, journal mode %s", opened.sqlite_version, opened.journal_mode)
    if opened.wal_reset_bug:
        log.info(
            "this SQLite has the WAL-reset bug: one connection does all writes and checkpoints, so it cannot occur"
        )
    for warning in opened.warnings:
        log.warning("%s", warning)
    if opened.migrated:
        log.info("database migrated: %s", ", ".join(opened.migrated))
    if opened.interrupted:
        log.info(
            "%d turns of the last run were interrupted: %s", len(opened.interrupted), ", ".join(opened.interrupted)
        )
