"""The job scheduler: one task that looks at the clock, the jobs file and what jobs need, and does what is decided.

A look is: read, plan, commit, act, until the plan holds nothing more to do. A run's row is committed before its turn
starts, so a kill at any point repeats nothing; its end is committed with the standing of its job. Everything that
changes the planner happens under one lock. What goes wrong in a look is logged, and the next one tries again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, assert_never

import trio

from agentgw.protocol.calls.jobs import JobRun
from agentgw.protocol.errors import AlreadyExists, StorageUnavailable
from agentgw.protocol.records.schema import dump
from agentgw_daemon.observability.supervision import contained, internal_error, supervised
from agentgw_daemon.scheduler.clock import Clock
from agentgw_daemon.scheduler.job import Job
from agentgw_daemon.scheduler.planning.decisions import Adopt, PlannedAction, Record, SchedulePlan, Start
from agentgw_daemon.scheduler.planning.planner import Planner
from agentgw_daemon.scheduler.planning.settling import Settled
from agentgw_daemon.scheduler.running.execution import CANCELLED, STOPPED, RunEnd, StartsTurns, execute, follow
from agentgw_daemon.scheduler.running.stored import from_rows, passed_s, run_of, stamps_of, start_of, times_of, to_row
from agentgw_daemon.scheduler.running.watches import PathWatches
from agentgw_daemon.system.ticks import until_tick_s

if TYPE_CHECKING:
    from agentgw_daemon.events.hub import EventHub
    from agentgw_daemon.events.turn_state import TurnState
    from agentgw_daemon.scheduler.notifying import JobListener
    from agentgw_daemon.scheduler.running.book import JobsBook
    from agentgw_daemon.scheduler.running.needs import Surroundings
    from agentgw_daemon.storage.jobs.job_store import JobStore

log = logging.getLogger(__name__)

# The wall clock may be set, the machine may sleep, and nobody tells: it is looked at twice a minute.
LOOK_EVERY_S: Final = 30.0
# Of one look; each round decides at least one thing, so only a mistake of ours needs more.
_MOST_ROUNDS: Final = 2000
# After the settle time of a wake-up, for the network to come.
_NETWORK_WAIT_S: Final = 90.0
# A file on a dead mount, or a bus that does not answer, must not hold up who only asks how things are.
_FIRST_LOOK_S: Final = 5.0
_PRUNE_EVERY_S: Final = 86_400.0
_CRASHED: Final = "agentgw ended while it ran"


class GoingRun:
    """A run that goes on."""

    def __init__(self, run_id: str, job: Job) -> None:
        self.run_id = run_id
        self.job = job
        self.turn_id: str | None = None
        self.started = trio.Event()
        self.ended = trio.Event()


class JobScheduler:
    """Runs the jobs of the book. Its runs, and the watches over paths, live in the nursery it is handed.

    `enabled` false starts nothing but what is asked for by hand, and decides no scheduled time.
    """

    def __init__(
        self,
        book: JobsBook,
        store: JobStore,
        turns: StartsTurns,
        hub: EventHub,
        surroundings: Surroundings,
        nursery: trio.Nursery,
        *,
        clock: Clock,
        limit: int = 1,
        keep_days: float = 90.0,
        enabled: bool = True,
        listener: JobListener | None = None,
    ) -> None:
        self.book = book
        self.enabled = enabled
        # Made by the first look that can read how far the jobs' times are decided: a daemon serves before that, and
        # where the database cannot be read, the next look tries again.
        self.planner: Planner | None = None
        self.plan = SchedulePlan()
        self.going: dict[str, GoingRun] = {}
        self._store = store
        self._turns = turns
        self._hub = hub
        self._surroundings = surroundings
        self._nursery = nursery
        self._clock = clock
        self._limit = limit
        self._keep_days = keep_days
        self._listener = listener
        self._wanted: set[str] = set()
        self._poked = trio.Event()
        self._lock = trio.Lock()
        self._stopping = False
        self._took_up = False
        self._has_looked = False
        self._all_ended = trio.lowlevel.ParkingLot()
        self._pruned_at_s: float | None = None
        self._storage_failed = ""
        self.watches = PathWatches(store, nursery, self._change)

    # The loop.

    async def run(self) -> None:
        """Look at everything twice a minute, and when something is due or was told, until cancelled."""
        while True:
            self._poked = trio.Event()
            await supervised("looking at jobs", self.look)
            with trio.move_on_after(self._pause_s()):
                await self._poked.wait()

    def now(self) -> datetime:
        """The wall clock."""
        return self._clock.read().wall

    def poke(self) -> None:
        """Look again at once."""
        self._poked.set()

    def hold(self, held: bool) -> None:
        """The machine is about to sleep, or goes on: nothing starts while it is held."""
        if self.planner is not None:
            self.planner.hold(held)
            self.poke()

    def close(self) -> None:
        """Start nothing more."""
        self._stopping = True

    async def wait_ended(self) -> None:
        """Returns when each run that went on has its end stored."""
        while self.going:
            await self._all_ended.park()

    async def look(self, *, anew: bool = False) -> None:
        """One look. `anew`: the file is read whether it has changed or not. Raises StorageUnavailable."""
        try:
            async with self._lock:
                try:
                    await self._look(anew=anew)
                finally:
                    self._has_looked = True
            self._storage_failed = ""
        except StorageUnavailable as error:
            if error.message != self._storage_failed:
                log.warning("jobs wait for the database: %s", error.message)
            self._storage_failed = error.message

    async def look_first(self) -> None:
        """Returns when one look was made; until then neither the jobs nor the ends of earlier daemons' runs are known.

        A look that fails is logged; one that takes too long is not waited for.
        """
        if not self._has_looked:
            with trio.move_on_after(_FIRST_LOOK_S):
                await supervised("looking at jobs", self.look)

    async def _look(self, *, anew: bool) -> None:
        # Where the look fails half-way, a time of the plan before it that has passed would have it repeated at once.
        self.plan = SchedulePlan(waiting=self.plan.waiting)
        planner = await self._prepared()
        zone_before = self.book.zone
        if await self.book.look(anew=anew):
            read = self.book.read
            if self.book.zone is not zone_before:
                planner.move(self.book.zone)
            planner.load(read.contents.jobs, complete=read.contents.complete, written_at=read.version.written_at)
            bad = len(read.contents.problems)
            told = (f", {bad} cannot be used" if bad else "") + ("" if self.enabled else ", the scheduler is off")
            log.info("jobs loaded: %d%s", len(read.contents.jobs), told)
            self._hub.publish("jobs", "loaded", jobs=len(read.contents.jobs), problems=len(read.contents.problems))
        planner.observe(self._clock.read())
        if not self._took_up:
            await self._take_up(planner)
            self._took_up = True
        needs = {need for job in self.book.read.contents.jobs if job.enabled for need in job.needs}
        planner.provide(await self._surroundings.met({*needs, "network"} if planner.has_just_woken else needs))
        failed: set[str] = set()
        for _ in range(_MOST_ROUNDS):
            if self._stopping:
                return
            self.plan = planner.plan(but=failed)
            acted = False
            for ask in self.plan.asks if self.enabled else ():
                planner.answer(ask.job, await self._store.began(ask.job, ask.since))
                acted = True
            for action in self.plan.actions:
                if self.enabled or self._is_asked_for(action):
                    acted = True
                    if not await self._decide(planner, action):
                        failed.add(action.job)
            if not acted:
                break
            planner.observe(self._clock.read())
        else:
            log.error("the plan of jobs finds no end; it goes on at the next look")
        if self.enabled:
            await self.watches.follow(self.book.read.contents.jobs, planner.standing_of)
            await self._prune()

    async def _prepared(self) -> Planner:
        if self.planner is None:
            reading = self._clock.read()
            standings = from_rows(await self._store.standings())
            self.planner = Planner(
                standings, reading, self.book.zone, limit=self._limit, network_wait_s=_NETWORK_WAIT_S
            )
        return self.planner

    def _pause_s(self) -> float:
        # With the others who look at something: an idle machine wakes once for all of them.
        look_s, wake_at = until_tick_s(LOOK_EVERY_S), self.plan.wake_at
        if wake_at is None:
            return look_s
        # Not before it, where clocks run a little apart.
        ahead_s = (wake_at - self._clock.read().wall).total_seconds() + 0.001
        return min(max(ahead_s, 0.0), look_s)

    async def _prune(self) -> None:
        now_s = trio.current_time()
        if self._pruned_at_s is not None and now_s - self._pruned_at_s < _PRUNE_EVERY_S:
            return
        self._pruned_at_s = now_s
        gone = await self._store.prune(self._clock.read().wall - timedelta(days=self._keep_days))
        if gone:
            log.info("runs of jobs that are no longer kept: %d", gone)

    # By hand.

    async def want(self, name: str) -> GoingRun | None:
        """Run a job of the file now, whatever its schedule says; None where it cannot start yet.

        Raises AlreadyExists while it runs, StorageUnavailable.
        """
        await self.look()
        async with self._lock:
            planner = await self._prepared()
            if (going := self.going.get(name)) is not None:
                raise AlreadyExists(
                    f"job {name} is running", hint=f"watch it with `agentgw attach {going.turn_id or 'TURN'}`",
                    kind="run", id=going.run_id,
                )  # fmt: skip
            planner.want(name)
            self._wanted.add(name)
        await self.look()
        return self.going.get(name)

    def _is_asked_for(self, action: PlannedAction) -> bool:
        """Tells whether it belongs to a run by hand: the job becomes known first, then it starts."""
        by_hand = isinstance(action, Adopt) or (isinstance(action, Start) and action.reason == "manual")
        return action.job in self._wanted and by_hand

    # Runs of an earlier daemon.

    async def _take_up(self, planner: Planner) -> None:
        """Follow the runs whose turns go on in this daemon; the others were cut off."""
        now = self._clock.read().wall
        found: dict[str, tuple[Start, Job, TurnState, float]] = {}
        for unfinished in await self._store.going():
            run = unfinished.run
            turn = self._turns.find(run.turn_id) if run.turn_id is not None else None
            job, standing = self.book.jobs.get(run.job), planner.standing_of(run.job)
            with contained(f"taking up run {run.run_id}"):
                if turn is not None and job is not None and standing is not None:
                    found[run.run_id] = (start_of(unfinished, standing), job, turn, passed_s(run, now))
        cut_off = await self._store.interrupt(_CRASHED, now=now, but=found)
        if cut_off:
            log.warning("runs of jobs that were cut off and are not run again: %d", cut_off)
        for run_id, (start, job, turn, passed) in found.items():
            log.info("job %s goes on: run %s", job.name, run_id)
            planner.take_up(start)
            going = self.going[job.name] = GoingRun(run_id, job)
            going.turn_id = turn.turn_id
            going.started.set()
            do = partial(follow, job, turn, passed_s=passed)
            self._nursery.start_soon(supervised, f"running job {job.name}", self._run, planner, going, do)

    async def _change(self, name: str, settled: Settled) -> None:
        async with self._lock:
            if self.planner is not None and name in self.book.jobs:
                self.planner.change(name, settled)
        if settled.paths:
            self.poke()

    # Decisions.

    async def _decide(self, planner: Planner, action: PlannedAction) -> bool:
        """Commit it, and tell whether that was done; if not, the others run. Raises StorageUnavailable."""
        try:
            await self._commit(planner, action)
        except StorageUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - supervision point: it is decided again at the next look
            internal_error(error, f"job {action.job}")
            return False
        return True

    async def _commit(self, planner: Planner, action: PlannedAction) -> None:
        """Store a decision, then act upon it."""
        row, now = to_row(action.standing), self._clock.read().wall
        match action:
            case Adopt():
                before = planner.standing_of(action.job)
                # With other times than before, what changed until now is none of its own.
                begins = before is None or before.fingerprint != row.fingerprint
                await self._store.adopt(action.job, row, forget_stamps=begins)
                planner.committed(action)
            case Record():
                row_id = await self._store.record(times_of(action), row, now=now)
                planner.committed(action)
                self._tell(await self._store.get(row_id))
            case Start():
                run_id = await self._store.begin(run_of(action), row, now=now, stamps=stamps_of(action.stamps))
                if run_id is None:
                    log.warning("job %s had its run for %s already", action.job, action.scheduled_for.isoformat())
                    planner.committed(Adopt(job=action.job, standing=action.standing))
                    return
                planner.committed(action)
                self._wanted.discard(action.job)
                self.watches.taken(action.job, action.stamps)
                self._begin(planner, run_id, action)
            case _:
                assert_never(action)

    def _begin(self, planner: Planner, run_id: str, start: Start) -> None:
        going = self.going[start.job] = GoingRun(run_id, self.book.jobs[start.job])
        log.info("job %s starts: run %s, %s", start.job, run_id, start.reason)

        async def begun(turn_id: str) -> None:
            going.turn_id = turn_id
            going.started.set()
            # The run goes on where this cannot be stored.
            await supervised(f"storing the turn of run {going.run_id}", self._begun, going.run_id, turn_id)

        do = partial(execute, self._turns, going.job, start, begun)
        self._nursery.start_soon(supervised, f"running job {start.job}", self._run, planner, going, do)

    async def _run(self, planner: Planner, going: GoingRun, do: Callable[[], Awaitable[RunEnd | None]]) -> None:
        try:
            end = await do()
        except* Exception as group:  # noqa: BLE001 - supervision point: a run ends, whatever happened in it
            error = internal_error(group, f"job {going.job.name}")
            end = RunEnd(status="failed", why=error.message)
        if end is None:
            log.info("job %s: run %s is left to the next daemon", going.job.name, going.run_id)
            self._forget(going)
            return
        if self._stopping and end.why == CANCELLED:
            end = RunEnd(status="interrupted", why=STOPPED)
        await self._settle(planner, going, end)

    async def _begun(self, run_id: str, turn_id: str) -> None:
        await self._store.turn(run_id, turn_id)
        self._tell(await self._store.get(run_id))

    async def _settle(self, planner: Planner, going: GoingRun, end: RunEnd) -> None:
        """Store how a run ended; tried until it can be."""
        name = going.job.name
        while True:
            try:
                async with self._lock:
                    planner.observe(self._clock.read())
                    standing = planner.after(name, failed=end.again)
                    now = self._clock.read().wall
                    await self._store.end(going.run_id, end.status, end.why, (name, to_row(standing)), now=now)
                    planner.ended(name, standing)
                break
            except StorageUnavailable as error:
                log.warning("the end of job %s cannot be stored yet: %s", name, error.message)
            await trio.sleep(LOOK_EVERY_S)
        self._forget(going)
        log.info("job %s: run %s %s%s", name, going.run_id, end.status, f", {end.why}" if end.why else "")
        self.poke()
        self._tell(await self._store.get(going.run_id), going.job)

    def _forget(self, going: GoingRun) -> None:
        del self.going[going.job.name]
        going.started.set()
        going.ended.set()
        self._all_ended.unpark_all()

    def _tell(self, run: JobRun, ended: Job | None = None) -> None:
        self._hub.publish("jobs", "started" if run.status == "running" else run.status, **dump(run))
        if ended is not None and self._listener is not None:
            listen = self._listener.job_ended
            self._nursery.start_soon(supervised, f"telling of job {run.job}", listen, ended, run)
