"""A daemon, its database and its machine, around the planner: what is committed survives, nothing else does.

Everything that the planner decides is checked against the rules as it is committed, by means of its own.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from agentgw_daemon.scheduler.job import Job, Need
from agentgw_daemon.scheduler.planning.decisions import Adopt, PlannedAction, Record, SchedulePlan, Standing, Start
from agentgw_daemon.scheduler.planning.planner import Planner
from agentgw_daemon.scheduler.planning.times import starts_at
from agentgw_daemon.scheduler.schedules.schedule import Schedule, next_after
from tests.scheduler.fakeclock import FakeClock
from tests.scheduler.made import BERLIN

MINUTE = timedelta(minutes=1)
MOMENT = timedelta(microseconds=1)
SETTLE_S = 30.0
# Shorter sleeps and steps are none.
NOISE_S = 5.0


@lru_cache(10_000)
def slot_after(schedule: Schedule, after: datetime) -> datetime | None:
    """The first scheduled time after an instant; the same are asked for after each decision about any job."""
    return next_after(schedule, after, BERLIN)


class Killed(Exception):
    """The daemon ends where it stands."""


@dataclass
class World:
    jobs: dict[str, Job] = field(default_factory=dict)
    limit: int = 2
    clock: FakeClock = field(default_factory=FakeClock)
    standings: dict[str, Standing] = field(default_factory=dict)
    runs: list[Start] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    # Scheduled times that had a run, by job; sorted, so that not all of them are looked through each time.
    began: dict[str, list[datetime]] = field(default_factory=dict)
    met: frozenset[Need] = frozenset({"network", "unmetered", "ac", "idle"})
    planner: Planner | None = None
    running: dict[str, Start] = field(default_factory=dict)
    # Runs whose turns waited when the daemon ended.
    left: dict[str, Start] = field(default_factory=dict)
    took_up: bool = False
    plan: SchedulePlan = field(default_factory=SchedulePlan)
    # The daemon has looked at the clock without a gap since, by the wall.
    looking_since: datetime | None = None
    woke_s: float = -1e9
    backlog_until: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    # Commits until the daemon is killed, before or after the last of them.
    kill_after: int | None = None

    def start(self) -> None:
        self.planner = Planner(self.standings, self.clock.read(), BERLIN, limit=self.limit, settle_s=SETTLE_S)
        self.planner.provide(self.met)
        self.woke_s = -1e9
        self.backlog_until = self.clock.wall
        self.looking_since = self.clock.wall
        self.took_up = False
        self.load()

    def kill(self, waiting: frozenset[str] = frozenset()) -> None:
        """The daemon ends. Runs of the jobs that were `waiting` go on with the next one, the others were cut off."""
        self.planner, self.plan, self.looking_since, self.kill_after = None, SchedulePlan(), None, None
        self.left = {name: start for name, start in self.running.items() if name in waiting}
        self.running.clear()  # stored as interrupted

    def load(self) -> None:
        if self.planner is not None:
            self.planner.load(self.jobs.values(), complete=True, written_at=self.clock.wall)
            if not self.took_up:
                self.take_up()
                self.took_up = True
            self.act()

    def take_up(self) -> None:
        """Runs that were left go on, unless their jobs are gone."""
        assert self.planner is not None
        for name, start in self.left.items():
            if name in self.jobs:
                self.planner.take_up(start)
                self.running[name] = start
        self.left = {}

    def act(self) -> None:
        """Plan and commit until nothing is left to do now."""
        try:
            for _ in range(200):
                if not self._step():
                    break
            else:
                raise AssertionError("the planner finds no end")
        except Killed:
            self.kill()
            return
        self.check_nothing_is_forgotten()

    def _step(self) -> bool:
        assert self.planner is not None
        self.planner.observe(self.clock.read())
        self.plan = self.planner.plan()
        for ask in self.plan.asks:
            began = self.began.get(ask.job, [])
            self.planner.answer(ask.job, frozenset(began[bisect_right(began, ask.since) :]))
        for action in self.plan.actions:
            if self.kill_after == 1:
                raise Killed
            self.check(action)
            self.commit(action)
            if self.kill_after is not None:
                self.kill_after -= 1
                if self.kill_after <= 0:
                    raise Killed
            self.planner.committed(action)
        return bool(self.plan.actions or self.plan.asks)

    def commit(self, action: PlannedAction) -> None:
        self.standings[action.job] = action.standing
        if isinstance(action, Start):
            self.runs.append(action)
            self.running[action.job] = action
            if action.reason in ("on_time", "catch_up"):
                insort(self.began.setdefault(action.job, []), action.scheduled_for)
        elif isinstance(action, Record):
            self.records.append(action)

    def finish_all(self) -> None:
        """Every run ends before anything is planned again."""
        for name in list(self.running):
            self.end(name)
        self.act()

    def finish(self, name: str, *, failed: bool = False) -> None:
        self.end(name, failed=failed)
        self.act()

    def end(self, name: str, *, failed: bool = False) -> None:
        assert self.planner is not None
        standing = self.planner.after(name, failed=failed)
        self.standings[name] = standing
        self.planner.ended(name, standing)
        del self.running[name]

    # Time.

    def awake(self, seconds: float) -> None:
        """Time passes while the daemon, where it runs, looks at the clock as its plans ask it to."""
        while seconds > 0:
            step = seconds
            if self.planner is not None and self.plan.wake_at is not None:
                ahead = (self.plan.wake_at - self.clock.wall).total_seconds()
                step = min(seconds, max(ahead, 0.001))
            self.clock.go_on(step)
            seconds -= step
            if self.planner is not None:
                self.act()

    def asleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        if seconds > NOISE_S and self.planner is not None:
            self.woke_s = self.clock.boottime_s
            self.backlog_until = self.clock.wall + timedelta(seconds=SETTLE_S)
        self._gap(seconds)

    def set_clock(self, seconds: float) -> None:
        self.clock.set(seconds)
        self._gap(seconds)

    def _gap(self, seconds: float) -> None:
        if self.planner is not None:
            if seconds > NOISE_S:
                self.looking_since = self.clock.wall
            elif seconds < -NOISE_S:
                # What was seen to come stays seen, and what comes again will be.
                self.looking_since = min(self.looking_since or self.clock.wall, self.clock.wall)
                self.backlog_until = min(self.backlog_until, self.clock.wall)
            self.act()

    # Rules.

    def check(self, action: PlannedAction) -> None:
        match action:
            case Adopt():
                old = self.standings.get(action.job)
                assert old is None or action.standing.considered >= old.considered
            case Record():
                self._check_decided(action.job, action.first, action.scheduled_for, action.count, action.more)
                self._check_record(action)
            case Start(reason="on_time" | "catch_up"):
                self._check_scheduled(action)
                self._check_start(action)
            case Start(reason="retry"):
                self._check_retry(action)
                self._check_start(action)
            case Start():
                self._check_start(action)

    def slots(self, name: str, after: datetime, upto: datetime, most: int) -> list[datetime]:
        job, found = self.jobs[name], list[datetime]()
        while len(found) < most and (slot := slot_after(job.schedule, after)) is not None and slot <= upto:
            found.append(slot)
            after = slot
        return found

    def _check_decided(self, name: str, first: datetime, last: datetime, count: int, more: bool) -> None:
        """The range begins where the last decision ended, and its count is true."""
        considered = self.standings[name].considered
        if last <= considered:
            return  # the clock was set back
        slots = self.slots(name, considered, last, 102)
        assert slots[0] == first
        assert (count, more) == (min(len(slots), 100), len(slots) > 100)

    def _check_scheduled(self, start: Start) -> None:
        job, now, slot = self.jobs[start.job], self.clock.wall, start.scheduled_for
        assert job.enabled
        assert slot_after(job.schedule, slot - MOMENT) == slot, "no scheduled time"
        had = self.began.get(start.job, [])
        assert slot not in had[bisect_left(had, slot) :][:1], "twice"
        begins = starts_at(job, slot, BERLIN)
        assert begins <= now
        following = slot_after(job.schedule, slot)
        assert following is None or starts_at(job, following, BERLIN) > now, "not the last one"
        noticed = self.looking_since is not None and max(begins, self.looking_since) - begins <= MINUTE
        assert (start.reason == "on_time") == noticed
        if job.grace_s is not None:
            assert now - begins <= max(timedelta(seconds=job.grace_s), MINUTE)
        elif job.misfire == "skip":
            assert noticed, "made up for under skip"
        considered = self.standings[start.job].considered
        if slot <= considered:
            assert start.missed == 0
            assert start.reason == "on_time"
            return
        slots = self.slots(start.job, considered, slot, 102)
        earlier = len(slots) - (start.reason == "on_time")
        assert (start.missed, start.more) == (min(earlier, 100), earlier > 100)
        if job.misfire == "skip":
            assert len(slots) == 1, "the others are missed"

    def _check_retry(self, start: Start) -> None:
        job = self.jobs[start.job]
        earlier = [run.attempt for run in self.runs if (run.job, run.scheduled_for) == (start.job, start.scheduled_for)]
        assert start.attempt == max(earlier) + 1 <= job.retries + 1

    def _check_start(self, start: Start) -> None:
        job = self.jobs[start.job]
        assert start.job not in self.running
        if start.reason == "manual":
            return
        assert job.needs <= self.met
        assert len(self.running) < self.limit
        timed = start.reason in ("on_time", "catch_up")
        begins = starts_at(job, start.scheduled_for, BERLIN)
        late = start.reason == "catch_up" or start.missed > 0 or (timed and begins <= self.backlog_until)
        assert start.alone == late
        assert not (self.running and (late or any(run.alone for run in self.running.values()))), "late: one by one"
        assert self.clock.boottime_s - self.woke_s >= SETTLE_S

    def _check_record(self, record: Record) -> None:
        job, now = self.jobs[record.job], self.clock.wall
        assert record.why
        begins = starts_at(job, record.scheduled_for, BERLIN)
        assert begins <= now
        if record.status == "skipped":
            assert record.job in self.running
            assert job.overlap == "skip"
            return
        assert record.job not in self.running
        assert job.grace_s is not None or job.misfire == "skip", "missed under run_once"
        following = slot_after(job.schedule, record.scheduled_for)
        superseded = following is not None and starts_at(job, following, BERLIN) <= now
        if not superseded:
            assert now - begins > max(timedelta(seconds=job.grace_s or 0), MINUTE), "not late"

    def check_nothing_is_forgotten(self) -> None:
        """Checks that each time that has come is decided, or its job says why it waits."""
        waiting = {one.job for one in self.plan.waiting}
        for name, job in self.jobs.items():
            standing = self.standings[name]
            assert standing.fingerprint == job.fingerprint
            if not job.enabled or name in waiting:
                continue
            slot = slot_after(job.schedule, standing.considered)
            assert slot is None or starts_at(job, slot, BERLIN) > self.clock.wall, "forgotten"

    # Edits of the file.

    def edit(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self.jobs[job.name] = job
        self.load()

    def remove(self, name: str) -> None:
        del self.jobs[name]
        self.load()

    def provide(self, *met: Need) -> None:
        self.met = frozenset(met)
        if self.planner is not None:
            self.planner.provide(met)
            self.act()

    def switch(self, name: str, enabled: bool) -> None:
        self.edit([replace(self.jobs[name], enabled=enabled)])
