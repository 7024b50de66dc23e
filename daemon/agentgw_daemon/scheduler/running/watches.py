"""The watches over paths, one a job that is started by one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.records.schema import record
from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.scheduler.planning.decisions import Standing
from agentgw_daemon.scheduler.planning.settling import FileState, Settled, Settling
from agentgw_daemon.scheduler.running.path_watch import PathWatch
from agentgw_daemon.scheduler.running.stored import stamps_of, states_of
from agentgw_daemon.scheduler.schedules.schedule import OnPath

if TYPE_CHECKING:
    from agentgw_daemon.scheduler.job import Job
    from agentgw_daemon.storage.jobs.job_store import JobStore

_AGAIN_S: Final = 30.0
# Among a job's stored states it says that its watch has begun; no file has such a size.
_MARKER: Final = FileState(inode=0, size=-1, mtime_ns=0)


@record
class _Watched:
    on: OnPath
    watch: PathWatch
    scope: trio.CancelScope


class PathWatches:
    """Begins and ends watches as the jobs file says. `tell` gets what has settled for a job."""

    def __init__(self, store: JobStore, nursery: trio.Nursery, tell: Callable[[str, Settled], Awaitable[None]]) -> None:
        self._store = store
        self._nursery = nursery
        self._tell = tell
        self._watched: dict[str, _Watched] = {}

    async def follow(self, jobs: Iterable[Job], standing_of: Callable[[str], Standing | None]) -> None:
        """Watch for these jobs and no others. Raises StorageUnavailable."""
        wanted = {job.name: job for job in jobs if job.enabled and isinstance(job.schedule, OnPath)}
        for name, watched in tuple(self._watched.items()):
            if name not in wanted or wanted[name].schedule != watched.on:
                watched.scope.cancel()
                del self._watched[name]
        for name, job in wanted.items():
            if name not in self._watched:
                standing = standing_of(name)
                assert isinstance(job.schedule, OnPath)
                if standing is not None and standing.fingerprint == job.fingerprint:
                    await self._begin(name, job.schedule)

    def has_looked(self, name: str) -> bool:
        """Tells whether a job's path is watched and was looked at, so that what changes from then on is a change."""
        return name in self._watched and self._watched[name].watch.has_looked

    def taken(self, name: str, stamps: frozenset[FileState]) -> None:
        """Note that these states of files have had their run, which is stored."""
        if stamps and name in self._watched:
            self._watched[name].watch.settling.taken(stamps)

    async def _begin(self, name: str, on: OnPath) -> None:
        handled = states_of(await self._store.stamps(name))
        # Without the marker it begins now: what is there already is no change.
        settling = Settling(on.settle_s, handled - {_MARKER} if _MARKER in handled else None)

        async def tell(settled: Settled) -> None:
            if not begun.is_set():
                await self._store.put_stamps(name, stamps_of(settling.handled | {_MARKER}))
                begun.set()
            await self._tell(name, settled)

        begun = trio.Event()
        if _MARKER in handled:
            begun.set()
        watch, scope = PathWatch(str(on.path), settling, tell), trio.CancelScope()
        self._watched[name] = _Watched(on=on, watch=watch, scope=scope)

        async def run() -> None:
            with scope:
                while True:
                    await supervised(f"watching for job {name}", watch.run)
                    # It ends by a mistake of ours only, or by a database that cannot be written now.
                    await trio.sleep(_AGAIN_S)

        self._nursery.start_soon(supervised, f"watching for job {name}", run)
