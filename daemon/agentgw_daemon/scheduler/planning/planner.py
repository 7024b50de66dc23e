"""Decides what starts when: jobs, the clock and what is stored in, decisions out. Does no I/O and never waits.

The caller reads the clock into `observe`, commits each action of a `plan` with its standing, and says so with
`committed`; what was not committed is decided again. So a crash at any point loses nothing and repeats nothing: a
scheduled time is decided when the row is stored, and a run is started after that.

- One run a job; of times that went by, one run makes up for all, or none does, as `misfire` and `grace_s` say.
- After a sleep nothing starts until the machine has settled, then what is late starts one at a time.
- Where the clock was set back before times that are decided, only those come again that had no run, and on time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Final, Literal

from agentgw_daemon.observability.supervision import contained
from agentgw_daemon.scheduler.clock import ClockReading, passage
from agentgw_daemon.scheduler.job import NEEDS, Job, Need
from agentgw_daemon.scheduler.planning.choosing import Conditions, DueRun, choose
from agentgw_daemon.scheduler.planning.decisions import (
    Adopt,
    AskHistory,
    PlannedAction,
    Record,
    Retry,
    SchedulePlan,
    Standing,
    Start,
    Waiting,
)
from agentgw_daemon.scheduler.planning.known import ASLEEP, NOT_RUNNING, SET_FORWARD, Gap, Gathered, Known
from agentgw_daemon.scheduler.planning.settling import Settled
from agentgw_daemon.scheduler.planning.times import (
    ON_TIME,
    Due,
    backoff,
    before,
    beginning,
    counted,
    due,
    first_after,
    latest_start,
    starts_at,
)
from agentgw_daemon.scheduler.schedules.zones import SECOND

SETTLE_S: Final = 30.0
_STILL_GOING: Final = "its run before is still going"
_LATE: Final = "agentgw could not look in time"


class Planner:
    """Planner of jobs. `standings` are the stored ones; `limit` runs at a time, where none of them is late."""

    def __init__(
        self, standings: Mapping[str, Standing], reading: ClockReading, zone: tzinfo, *, limit: int = 1,
        settle_s: float = SETTLE_S, network_wait_s: float = 0.0,
    ) -> None:  # fmt: skip
        self._stored = dict(standings)
        self._known: dict[str, Known] = {}
        self._reading = reading
        self._zone = zone
        self._limit = limit
        self._settle_s = settle_s
        self._network_wait_s = network_wait_s
        self._settled_at_s = self._network_by_s = reading.boottime_s
        # Runs that were to begin up to then came together, and start one by one.
        self._backlog_until = reading.wall
        self._held = False
        self._written_at: datetime | None = None
        self._gone: set[str] = set()
        self._met: frozenset[Need] = frozenset(NEEDS)
        # Before this the daemon was not running, whenever that was.
        self._gap = Gap(start=datetime.min.replace(tzinfo=reading.wall.tzinfo), end=reading.wall, why=NOT_RUNNING)

    # News from the caller.

    def load(self, jobs: Iterable[Job], *, complete: bool, written_at: datetime | None = None) -> None:
        """The jobs there are. Those that are missing are gone where the file is `complete`, else they rest."""
        found = {job.name: job for job in jobs}
        self._written_at = written_at
        for name, job in found.items():
            known = self._known.setdefault(name, Known(job=job, standing=self._stored.get(name)))
            known.job, known.present, known.looked, known.faulty = job, True, False, False
        for name, known in self._known.items():
            if name not in found:
                known.present, known.wanted_at, known.changed = False, None, None
                known.job = replace(known.job, enabled=False) if complete else known.job
        gone = self._stored.keys() - self._known.keys() if complete else set()
        self._gone = {name for name in gone if self._stored[name].fingerprint}

    def observe(self, reading: ClockReading) -> None:
        """The clocks at this moment."""
        passed = passage(self._reading, reading)
        if passed.slept_s > 0:
            self._settled_at_s = reading.boottime_s + self._settle_s
            self._network_by_s = self._settled_at_s + self._network_wait_s
            self._backlog_until = reading.wall + timedelta(seconds=self._settle_s)
        if passed.stepped_s < 0:
            self._backlog_until = min(self._backlog_until, reading.wall)
        if passed.slept_s > 0 or passed.stepped_s > 0:
            why = ASLEEP if passed.slept_s >= passed.stepped_s else SET_FORWARD
            self._gap = Gap(start=self._reading.wall, end=reading.wall, why=why)
            for known in self._known.values():
                known.noticed = None
        self._reading = reading

    def move(self, zone: tzinfo) -> None:
        """The zone of the machine is another one from now on."""
        self._zone = zone
        for known in self._known.values():
            known.looked = False

    def hold(self, held: bool) -> None:
        """The machine is about to sleep, or goes on after all: nothing starts while it is held."""
        self._held = held

    def provide(self, met: Iterable[Need]) -> None:
        """Tells the planner which needs of jobs are met."""
        self._met = frozenset(met)

    def want(self, name: str) -> None:
        """Notes that somebody asked for a run at once, whatever the schedule says."""
        self._known[name].wanted_at = self._reading.wall

    def change(self, name: str, settled: Settled) -> None:
        """Tells the planner that what a job watches has changed and settled; more changes before its run join it."""
        known = self._known[name]
        if settled.paths:
            known.changed_at = known.changed_at or self._reading.wall
            known.changed = settled

    def answer(self, name: str, began: frozenset[datetime] | None) -> None:
        """The times asked for that had a run; None when they are too many, then none of them comes again."""
        known = self._known[name]
        known.began, known.cursor, known.looked = began, self._reading.wall, False

    def committed(self, action: PlannedAction) -> None:
        """The action is stored; a start runs from now on."""
        self._stored[action.job] = action.standing
        self._gone.discard(action.job)
        known = self._known.get(action.job)
        if known is None:
            return
        known.standing, known.looked, known.waited = action.standing, False, ""
        if isinstance(action, Start):
            known.running = action
            known.wanted_at = None if action.reason == "manual" else known.wanted_at
            if known.changed is not None and known.changed.stamps <= action.stamps:
                known.changed = known.changed_at = None
        if isinstance(action, Adopt):
            # A change from before it was switched off, or of what it does not watch any more, is none of its own.
            known.changed = known.changed_at = None
        elif known.cursor is not None and (isinstance(action, Record) or action.reason in ("on_time", "catch_up")):
            known.cursor = max(known.cursor, action.scheduled_for)

    def take_up(self, start: Start) -> None:
        """Notes that a run which an earlier daemon started goes on; its job is known."""
        self._known[start.job].running = start

    def after(self, name: str, *, failed: bool) -> Standing:
        """The standing to store with the end of the run that goes on; with a retry where one is due."""
        known = self._known[name]
        run, standing = known.running, known.standing
        assert run is not None  # its start was committed
        assert standing is not None
        owed = failed and run.reason != "manual" and run.attempt <= known.job.retries
        if not owed or not known.present or standing.fingerprint != known.job.fingerprint:
            return replace(standing, retry=None)
        retry = Retry(
            scheduled_for=run.scheduled_for, attempt=run.attempt + 1, at=self._reading.wall + backoff(run.attempt)
        )
        return replace(standing, retry=retry)

    def ended(self, name: str, standing: Standing) -> None:
        """The run is over, and its end and the standing are stored."""
        known = self._known[name]
        known.running, known.standing = None, standing
        self._stored[name] = standing

    # Answers to the caller.

    @property
    def has_just_woken(self) -> bool:
        """Tells whether the machine woke up so lately that its network may still be coming."""
        return self._reading.boottime_s < self._network_by_s

    def standing_of(self, name: str) -> Standing | None:
        """The standing of a job, as it is stored."""
        return self._stored.get(name)

    def plan(self, but: Collection[str] = ()) -> SchedulePlan:
        """The work to be done at once, without that of jobs in `but`. Ask again after each commit and all news."""
        gathered = Gathered()
        for name in sorted(self._gone.difference(but)):
            gathered.actions.append(Adopt(job=name, standing=replace(self._stored[name], fingerprint="", retry=None)))
        for known in self._known.values():
            # A job that cannot be reckoned with costs itself, until it is written anew.
            if not known.faulty and known.job.name not in but:
                known.faulty = True
                with contained(f"planning job {known.job.name}"):
                    self._look_at(known, gathered)
                    known.faulty = False
        self._choose(gathered)
        return SchedulePlan(
            actions=tuple(gathered.actions),
            waiting=tuple(gathered.waiting),
            asks=tuple(gathered.asks),
            wake_at=min(gathered.wakes, default=None),
        )

    def upcoming(self, name: str) -> datetime | None:
        """The time at which the next run of a job begins by its schedule."""
        known = self._known.get(name)
        if known is None or not known.job.enabled or not known.present:
            return None
        now, zone = self._reading.wall, self._zone_of(known)
        considered = min(known.standing.considered, now) if known.standing is not None else now
        for after in (considered, now):
            slot = first_after(known.job, after, zone)
            if slot is None:
                return None
            if (begins := starts_at(known.job, slot, zone)) > now:
                return begins
        return None

    def _zone_of(self, known: Known) -> tzinfo:
        return known.job.zone or self._zone

    def _look_at(self, known: Known, gathered: Gathered) -> None:
        job, standing, now = known.job, known.standing, self._reading.wall
        if not known.present and job.enabled:
            return  # its entry cannot be read; it rests
        if standing is None or standing.fingerprint != job.fingerprint:
            begins = beginning(job, now, self._written_at)
            considered = max(standing.considered, begins) if standing is not None else begins
            new = Standing(considered=considered, fingerprint=job.fingerprint)
            gathered.actions.append(Adopt(job=job.name, standing=new))
            return
        found = self._by_hand(known) or (self._by_schedule(known, standing, gathered) if job.enabled else None)
        if found is None:
            return
        if known.running is None:
            gathered.candidates.append(found)
        elif found.due is None or job.overlap == "queue":
            gathered.waiting.append(Waiting(job=job.name, scheduled_for=found.scheduled_for, why=_STILL_GOING))
        else:
            gathered.actions.append(self._without_run(known, standing, found.due, "skipped", _STILL_GOING))

    def _by_hand(self, known: Known) -> DueRun | None:
        if known.wanted_at is not None:
            at = known.wanted_at
            return DueRun(job=known.job, scheduled_for=at, starts_at=at, reason="manual")
        if known.changed_at is not None and known.job.enabled:
            at = known.changed_at
            return DueRun(job=known.job, scheduled_for=at, starts_at=at, reason="changed")
        return None

    def _by_schedule(self, known: Known, standing: Standing, gathered: Gathered) -> DueRun | None:
        found = self._due(known, standing, gathered)
        if found is None:
            return self._retry(known, standing, gathered)
        job, now = known.job, self._reading.wall
        noticed = known.noticed == found.slot
        if known.cursor is None and known.running is None:
            until = latest_start(job, found.starts_at, noticed=noticed)
            if until is not None and now > until:
                gathered.actions.append(self._without_run(known, standing, found, "missed", self._why(known, found)))
                return None
            if until is not None:
                gathered.wakes.append(until + SECOND)
            if job.misfire == "skip" and not found.alone:
                earlier = before(job, found.slot, self._zone_of(known)) or found.first
                passed = Due(first=found.first, slot=earlier, starts_at=earlier)
                gathered.actions.append(self._without_run(known, standing, passed, "missed", self._why(known, passed)))
                return None
        # Where the clock was set back, those before it were decided before.
        made_up_for = known.cursor is None and not found.alone
        return DueRun(
            job=job, scheduled_for=found.slot, starts_at=found.starts_at,
            reason="on_time" if noticed else "catch_up", due=found,
            late=not noticed or made_up_for or found.starts_at <= self._backlog_until,
        )  # fmt: skip

    def _due(self, known: Known, standing: Standing, gathered: Gathered) -> Due | None:
        """The time that has come and is not decided; notices it where it is on time."""
        job, now, zone = known.job, self._reading.wall, self._zone_of(known)
        behind = now < standing.considered
        if behind and (known.cursor is None or now < known.cursor):
            gathered.asks.append(AskHistory(job=job.name, since=now))
            return None
        if behind and known.began is None:
            return None
        if not behind and known.cursor is not None:
            known.cursor, known.looked = None, False
        while True:
            if not known.looked:
                known.first, known.looked = first_after(job, known.cursor or standing.considered, zone), True
            if known.first is None:
                return None
            found = due(job, known.first, now, zone)
            if found is None:
                gathered.wakes.append(starts_at(job, known.first, zone))
                return None
            if now - found.starts_at <= ON_TIME:
                known.noticed = found.slot
            if known.cursor is None or self._comes_again(known, found):
                # While it waits, the next one has to be seen to come.
                following = first_after(job, found.slot, zone)
                if following is not None:
                    gathered.wakes.append(starts_at(job, following, zone))
                return found
            # It had a run when the clock said this before, or was decided then.
            known.cursor, known.looked = found.slot, False

    def _comes_again(self, known: Known, found: Due) -> bool:
        """Tells, of a clock that was set back, whether this time had no run, is on time, and has not waited
        too long.
        """
        until = latest_start(known.job, found.starts_at, noticed=True)
        too_late = until is not None and self._reading.wall > until
        return known.noticed == found.slot and found.slot not in (known.began or ()) and not too_late

    def _retry(self, known: Known, standing: Standing, gathered: Gathered) -> DueRun | None:
        retry, job, now = standing.retry, known.job, self._reading.wall
        if retry is None:
            return None
        if now < retry.at:
            gathered.wakes.append(retry.at)
            return None
        until = latest_start(job, retry.at, noticed=True)
        if until is not None and now > until and known.running is None:
            gathered.actions.append(Adopt(job=job.name, standing=replace(standing, retry=None)))
            return None
        return DueRun(job=job, scheduled_for=retry.scheduled_for, starts_at=retry.at, reason="retry")

    def _choose(self, gathered: Gathered) -> None:
        """Start what can be started; the others wait."""
        left_s = self._settled_at_s - self._reading.boottime_s
        if left_s > 0 and gathered.candidates:
            gathered.wakes.append(self._reading.wall + timedelta(seconds=left_s))
        settling = left_s > 0 or (self.has_just_woken and "network" not in self._met)
        runs = [known.running for known in self._known.values() if known.running is not None]
        conditions = Conditions(
            held=self._held, settling=settling, met=self._met, running=len(runs),
            alone=any(run.alone for run in runs), limit=self._limit,
        )  # fmt: skip
        choice = choose(gathered.candidates, conditions)
        for candidate, why in choice.waits:
            self._known[candidate.job.name].waited = why
            gathered.waiting.append(Waiting(job=candidate.job.name, scheduled_for=candidate.scheduled_for, why=why))
        gathered.actions += [self._start(candidate) for candidate in choice.starts]

    def _start(self, candidate: DueRun) -> Start:
        job, now = candidate.job, self._reading.wall
        known = self._known[job.name]
        standing, zone = known.standing, self._zone_of(known)
        assert standing is not None  # it is no candidate before it is adopted
        start = Start(
            job=job.name, scheduled_for=candidate.scheduled_for, reason=candidate.reason, standing=standing,
            lateness_s=max((now - candidate.starts_at).total_seconds(), 0.0), alone=candidate.late,
        )  # fmt: skip
        match candidate.reason:
            case "manual":
                return start
            case "changed":
                assert known.changed is not None  # it is what made the candidate
                return replace(start, paths=known.changed.paths, stamps=known.changed.stamps)
            case "retry":
                assert standing.retry is not None  # it is what made the candidate
                return replace(start, attempt=standing.retry.attempt, standing=replace(standing, retry=None))
            case "on_time" | "catch_up":
                found = candidate.due
                assert found is not None  # it is what made the candidate
        considered = replace(standing, considered=max(standing.considered, found.slot), retry=None)
        # Where the clock was set back, what went by was decided before.
        last = found.slot if candidate.reason == "catch_up" else before(job, found.slot, zone)
        if known.cursor is not None or last is None or last < found.first:
            return replace(start, standing=considered)
        missed, more = counted(job, found.first, last, zone)
        return replace(start, standing=considered, missed=missed, more=more)

    def _without_run(
        self, known: Known, standing: Standing, found: Due, status: Literal["missed", "skipped"], why: str
    ) -> Record:
        count, more = counted(known.job, found.first, found.slot, self._zone_of(known))
        return Record(
            job=known.job.name, status=status, first=found.first, scheduled_for=found.slot, count=count, more=more,
            why=why, lateness_s=max((self._reading.wall - found.starts_at).total_seconds(), 0.0),
            standing=replace(standing, considered=max(standing.considered, found.slot), retry=None),
        )  # fmt: skip

    def _why(self, known: Known, found: Due) -> str:
        if self._gap.start < found.slot <= self._gap.end:
            return self._gap.why
        return known.waited or _LATE
