"""Scheduled jobs on the wire: entries of the jobs file, their runs, and what the `job.*` methods take and give."""

from __future__ import annotations

from typing import Annotated, Literal

from agentgw.protocol.records.schema import Limit, record

RunStatus = Literal["running", "ok", "failed", "missed", "interrupted", "skipped"]
RunReason = Literal["on_time", "catch_up", "retry", "changed", "manual"]
JobState = Literal["off", "scheduled", "waiting", "running", "over"]

_JobName = Annotated[str, "the job", Limit(min_length=1, max_length=100)]
# NUL ends a path for the system.
_Text = Limit(min_length=1, max_length=1000, pattern=r"[^\0]*")


@record
class JobRun:
    """One execution of a job, or scheduled times that have none (`missed`, `skipped`) with the reason in `why`."""

    run_id: str
    job: str
    scheduled_for: Annotated[str, "the time it is for, by the schedule; of a run by hand, when it was asked for"]
    status: RunStatus
    reason: Annotated[RunReason | None, "what it was started for; `catch_up` makes up for a time that went by"] = None
    attempt: Annotated[int, "1, and more for each retry"] = 1
    lateness_s: Annotated[float, "how much later than its time it was decided"] = 0.0
    first: Annotated[str | None, "the first of the times that a `missed` or `skipped` is about"] = None
    missed: Annotated[int, "times that went by without a run, up to 100"] = 0
    more: Annotated[bool | None, "true: more than `missed` says"] = None
    started_at: str | None = None
    finished_at: str | None = None
    turn_id: str | None = None
    why: Annotated[str | None, "why it is not `ok`"] = None


@record
class ScheduledJob:
    """An entry of the jobs file and how it is."""

    name: str
    schedule: Annotated[str, "as the file has it, such as `every day at 08:30`"]
    message: str
    enabled: bool
    state: Annotated[JobState, "waiting: due, and something is missing; over: no time comes any more"]
    line: Annotated[int, "where its entry begins"]
    skill: str | None = None
    model: str | None = None
    zone: Annotated[str | None, "its own time zone"] = None
    next_at: Annotated[str | None, "when its next run begins"] = None
    why: Annotated[str | None, "what it waits for"] = None
    last: Annotated[JobRun | None, "its latest run"] = None


@record
class JobProblem:
    """Fault that keeps an entry, or the whole file, from being used."""

    line: int
    reason: str
    job: str | None = None


@record
class JobList:
    """The jobs file as it was read last."""

    jobs: tuple[ScheduledJob, ...]
    file: str
    enabled: Annotated[bool, "false: this daemon starts no job by itself"]
    problems: tuple[JobProblem, ...] = ()


@record
class JobNameParams:
    """The name of a job."""

    name: _JobName


@record
class JobAddParams:
    """An entry for the jobs file; one of `every`, `cron`, `at` and `on` says when it runs."""

    message: Annotated[str, "what the agent is asked to do", Limit(min_length=1, max_length=100_000)]
    name: Annotated[str | None, "made of the message where it is left out", Limit(min_length=1, max_length=100)] = None
    every: Annotated[str | None, "`10 minutes`, `day at 09:00`, `monday at 10:00`", _Text] = None
    cron: Annotated[str | None, "five fields, or @daily and the like", _Text] = None
    at: Annotated[str | None, "an ISO time, once", _Text] = None
    on: Annotated[str | None, "absolute path of a file or folder: when it has changed and stayed still", _Text] = None
    skill: Annotated[str | None, "the default one", _Text] = None
    model: Annotated[str | None, "the skill's, or the default one", _Text] = None
    files: Annotated[
        tuple[Annotated[str, _Text], ...], "absolute paths: files, and folders whose files are handed along",
        Limit(max_length=100),
    ] = ()  # fmt: skip
    cwd: Annotated[str | None, "absolute path: where its tools work", _Text] = None
    tz: Annotated[str | None, "a time zone such as Europe/Berlin; the machine's", _Text] = None
    misfire: Annotated[Literal["run_once", "skip"] | None, "once or not at all for times that went by"] = None
    grace_s: Annotated[float | None, "a run may start so late", Limit(minimum=0)] = None
    jitter_s: Annotated[float | None, "spread over so long", Limit(minimum=0)] = None
    overlap: Annotated[Literal["skip", "queue"] | None, "a time that comes while it runs"] = None
    timeout_s: Annotated[float | None, "a run takes at most", Limit(minimum=0)] = None
    retries: Annotated[int | None, "so often again after a failure", Limit(minimum=0, maximum=10)] = None
    approvals: Annotated[
        tuple[Annotated[str, _Text], ...] | None, "tools that run without being asked about, or `deny`",
        Limit(max_length=100),
    ] = None  # fmt: skip
    needs: Annotated[tuple[Literal["network", "unmetered", "ac", "idle"], ...], "what must be there first"] = ()
    notify: Annotated[tuple[Literal["desktop", "webhook"], ...], "who hears of each run's end"] = ()


@record
class JobAdded:
    """The new entry, and when it will run."""

    job: ScheduledJob
    times: Annotated[tuple[str, ...], "its next three times, or fewer"]
    file: str


@record
class JobRunParams:
    """The job to run at once, whatever its schedule says."""

    name: _JobName
    wait: Annotated[bool, "answer when the run has ended; a client that leaves does not end it"] = False


@record
class JobHistoryParams:
    """A choice of runs."""

    name: Annotated[str | None, "of this job", Limit(min_length=1, max_length=100)] = None
    limit: Annotated[int, "at most so many", Limit(minimum=1, maximum=1000)] = 50
    before: Annotated[str | None, "the `next` of the page before", Limit(max_length=200)] = None


@record
class JobRunList:
    """Runs, the latest first."""

    runs: tuple[JobRun, ...]
    next: str | None = None


@record
class JobNextParams:
    """The jobs whose times are wanted, and how many."""

    name: Annotated[str | None, "of this job", Limit(min_length=1, max_length=100)] = None
    count: Annotated[int, "of each job", Limit(minimum=1, maximum=100)] = 3


@record
class JobTime:
    """A time at which a job is due."""

    job: str
    at: str


@record
class JobTimes:
    """The earliest first."""

    times: tuple[JobTime, ...]
