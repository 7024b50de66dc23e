"""All that can be asked about jobs: listed, edited in their file, run by hand, looked back on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.calls.jobs import (
    JobAdded,
    JobAddParams,
    JobList,
    JobProblem,
    JobRun,
    JobRunList,
    JobState,
    JobTime,
    JobTimes,
    ScheduledJob,
)
from agentgw.protocol.errors import InvalidParams, ShuttingDown
from agentgw_daemon.knowledge.sources import shown
from agentgw_daemon.scheduler.file import editing
from agentgw_daemon.scheduler.schedules.refusal import ScheduleRefused
from agentgw_daemon.scheduler.schedules.schedule import OnPath, described, parse_at, upcoming
from agentgw_daemon.scheduler.schedules.zones import zone_named
from agentgw_daemon.storage.jobs.job_rows import wire_time

if TYPE_CHECKING:
    from agentgw_daemon.events.hub import EventHub
    from agentgw_daemon.scheduler.job import Job
    from agentgw_daemon.scheduler.running.interactive import InteractiveUse
    from agentgw_daemon.scheduler.running.scheduler import JobScheduler
    from agentgw_daemon.storage.jobs.job_store import JobStore

_SHOWN_TIMES: Final = 3
_NAME_WORDS: Final = 5
_MOST_NAMES: Final = 1000
# A turn starts within a second but for a model that has to be found first.
_START_S: Final = 30.0


class Jobs:
    """The jobs of one daemon, as its clients see them."""

    def __init__(self, scheduler: JobScheduler, store: JobStore, hub: EventHub, use: InteractiveUse) -> None:
        self.scheduler = scheduler
        self._store = store
        self._hub = hub
        self._use = use

    async def work(self) -> None:
        """Start jobs when they are due, until cancelled."""
        with self._use.following(self._hub):
            await self.scheduler.run()

    async def reload(self) -> bool:
        """Read the file now; tells whether it says something else than before."""
        before = self.scheduler.book.read
        await self.scheduler.look(anew=True)
        return self.scheduler.book.read.contents != before.contents

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the jobs in the file, as it was last read."""
        return tuple(self.scheduler.book.jobs)

    @property
    def anything_scheduled(self) -> bool:
        """Tells whether this daemon has to be there for a job that will be due."""
        return self.scheduler.enabled and any(
            isinstance(job.schedule, OnPath) or self._next(job) is not None or job.name in self.scheduler.going
            for job in self.scheduler.book.jobs.values()
            if job.enabled
        )

    def problems(self) -> tuple[JobProblem, ...]:
        """The faults of the file, as it was last read."""
        found = self.scheduler.book.read.contents.problems
        return tuple(JobProblem(line=one.line, reason=one.reason, job=one.name) for one in found)

    async def list(self) -> JobList:
        """The jobs in the order of the file."""
        await self.scheduler.look()
        jobs = self.scheduler.book.jobs
        latest = await self._store.latest(jobs)
        return JobList(
            jobs=tuple(self._shown(job, latest.get(name)) for name, job in jobs.items()),
            file=shown(str(self.scheduler.book.path)), enabled=self.scheduler.enabled, problems=self.problems(),
        )  # fmt: skip

    async def add(self, params: JobAddParams) -> JobAdded:
        """Write an entry. Raises InvalidParams, also for a time that has passed, AlreadyExists, StorageUnavailable."""
        book = self.scheduler.book
        self._refuse_past(params)
        await self.scheduler.look()
        entry = _entry(params, params.name or _free_name(params.message, book.jobs))
        await book.edit(lambda text: editing.with_job(text, entry, home=book.home))
        job = await self._there(str(entry["name"]))
        now = self.scheduler.now()
        times = upcoming(job.schedule, now, job.zone or book.zone, _SHOWN_TIMES)
        return JobAdded(job=self._shown(job, None), times=tuple(map(wire_time, times)), file=shown(str(book.path)))

    async def remove(self, name: str) -> None:
        """Take an entry out. Raises NotFound, InvalidParams where that is not safe, StorageUnavailable."""
        await self.scheduler.book.edit(lambda text: editing.without_job(text, name))
        await self.scheduler.look()

    async def enable(self, name: str, enabled: bool) -> ScheduledJob:
        """Switch an entry on or off. Raises as `remove`."""
        await self.scheduler.book.edit(lambda text: editing.with_enabled(text, name, enabled))
        job = await self._there(name)
        return self._shown(job, (await self._store.latest([name])).get(name))

    async def run(self, name: str, *, wait: bool) -> JobRun:
        """Run a job now; gives the run when its turn has begun, or has ended. Raises NotFound, AlreadyExists."""
        await self._there(name)
        going = await self.scheduler.want(name)
        if going is None:
            raise ShuttingDown("the run could not be started", hint="see `agentgw logs`, and try again")
        if wait:
            await going.ended.wait()
        else:
            with trio.move_on_after(_START_S):
                await going.started.wait()
        return await self._store.get(going.run_id)

    async def history(self, name: str | None, limit: int, before: str | None) -> JobRunList:
        """A page of runs. Raises NotFound for a job that neither the file nor the history knows."""
        await self.scheduler.look_first()
        page = await self._store.history(name, limit, before)
        if name is not None and not page.runs and before is None and name not in self.names:
            raise editing.no_job(name, self.names)
        return page

    async def times(self, name: str | None, count: int) -> JobTimes:
        """The next times of jobs, the earliest first. Raises NotFound."""
        await self.scheduler.look()
        book = self.scheduler.book
        if name is not None and name not in book.jobs:
            raise editing.no_job(name, book.jobs)
        now = self.scheduler.now()
        found = [
            (moment, job.name)
            for job in book.jobs.values()
            if job.enabled and name in (None, job.name)
            for moment in upcoming(job.schedule, now, job.zone or book.zone, count)
        ]
        return JobTimes(times=tuple(JobTime(job=job, at=wire_time(moment)) for moment, job in sorted(found)))

    async def _there(self, name: str) -> Job:
        """The job of that name as the file has it now. Raises NotFound, InvalidParams for a broken entry."""
        await self.scheduler.look()
        job = self.scheduler.book.jobs.get(name)
        if job is not None:
            return job
        for problem in self.problems():
            if problem.job == name:
                where = f"{shown(str(self.scheduler.book.path))}:{problem.line}"
                raise InvalidParams(
                    f"job {name} cannot be used: {where}: {problem.reason}", hint="correct it there", path="name",
                    reason=problem.reason,
                )  # fmt: skip
        raise editing.no_job(name, self.names)

    def _shown(self, job: Job, last: JobRun | None) -> ScheduledJob:
        scheduler = self.scheduler
        waiting = {one.job: one.why for one in scheduler.plan.waiting}
        next_at = self._next(job)
        state: JobState = "scheduled"
        if job.name in scheduler.going:
            state = "running"
        elif not job.enabled:
            state = "off"
        elif job.name in waiting:
            state = "waiting"
        elif next_at is None and not isinstance(job.schedule, OnPath):
            state = "over"
        return ScheduledJob(
            name=job.name, schedule=described(job.schedule), message=job.message, enabled=job.enabled, state=state,
            line=job.line, skill=job.skill, model=job.model, zone=None if job.zone is None else job.zone.key,
            next_at=None if next_at is None else wire_time(next_at),
            why=waiting.get(job.name) if state == "waiting" else None, last=last,
        )  # fmt: skip

    def _next(self, job: Job) -> datetime | None:
        planner = self.scheduler.planner
        return None if planner is None else planner.upcoming(job.name)

    def _refuse_past(self, params: JobAddParams) -> None:
        """A time that has passed would never come."""
        if params.at is None:
            return
        try:
            zone = self.scheduler.book.zone if params.tz is None else zone_named(params.tz)
            when = parse_at(params.at).when(zone)
        except ScheduleRefused as refused:
            raise InvalidParams(f"at: {refused}", path="at", reason=str(refused)) from None
        if when <= self.scheduler.now():
            reason = "has passed, so nothing would ever start the job"
            raise InvalidParams(f"at: {wire_time(when)} {reason}", path="at", reason=reason)


def _entry(params: JobAddParams, name: str) -> dict[str, editing.FieldValue]:
    """The keys of an entry, in the order in which people write them."""
    given: dict[str, editing.FieldValue | None] = {
        "name": name, "message": params.message, "every": params.every, "cron_expression": params.cron,
        "at": params.at, "on": params.on, "tz": params.tz, "skill_name": params.skill, "model": params.model,
        "files": list(params.files) or None, "cwd": params.cwd, "misfire": params.misfire, "grace_s": params.grace_s,
        "jitter_s": params.jitter_s, "overlap": params.overlap, "timeout_s": params.timeout_s,
        "retries": params.retries, "approvals": _approvals(params.approvals), "needs": list(params.needs) or None,
        "notify": list(params.notify) or None,
    }  # fmt: skip
    return {key: value for key, value in given.items() if value is not None}


def _approvals(given: tuple[str, ...] | None) -> str | list[str] | None:
    if given is None:
        return None
    return "deny" if given in ((), ("deny",)) else list(given)


def _free_name(message: str, taken: Iterable[str]) -> str:
    """A name of the first words of the message that no other job has."""
    words = re.findall(r"[^\W_]+", message.casefold())[:_NAME_WORDS]
    name, names = "-".join(words)[:80] or "job", set(taken)
    return next(
        found
        for found in (name, *(f"{name}-{number}" for number in range(2, _MOST_NAMES + 2)))
        if found not in names or found.endswith(f"-{_MOST_NAMES + 1}")
    )
