"""Rows of scheduled jobs as records, and back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, get_args

from agentgw.protocol.calls.jobs import JobRun, RunReason, RunStatus
from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.columns import number_of, optional, real_of, text_of, word_of

STANDING_COLUMNS: Final = "job, considered, fingerprint, retry_for, retry_attempt, retry_at"
RUN_COLUMNS: Final = (
    "id, job, scheduled_for, status, reason, attempt, lateness_s, first, missed, more, started_at, finished_at,"
    " turn_id, why"
)
_STATUSES: Final[tuple[RunStatus, ...]] = get_args(RunStatus)
_REASONS: Final[tuple[RunReason | None, ...]] = get_args(RunReason)
# Far from the calendar's ends, so that reckoning with it stays within them.
_YEARS: Final = range(1970, 9001)


@record
class StoredRetry:
    """A run that is to be tried again."""

    scheduled_for: datetime
    attempt: int
    at: datetime


@record
class StoredStanding:
    """Point up to which the times of a job are decided, by the schedule that `fingerprint` stands for."""

    considered: datetime
    fingerprint: str
    retry: StoredRetry | None = None


@record
class StoredStamp:
    """A state of a file that needs no run any more."""

    inode: int
    size: int
    mtime_ns: int


@record
class UnfinishedRun:
    """A run without an end: as it is shown, and the time it is for as the column has it, which may be bad.

    What is shown has milliseconds; a run that goes on must keep the time that it began with.
    """

    run: JobRun
    scheduled_for: object


@record
class NewRun:
    """A run that is about to start."""

    job: str
    scheduled_for: datetime
    reason: RunReason
    attempt: int
    lateness_s: float
    missed: int = 0
    more: bool = False


@record
class RunlessTimes:
    """Scheduled times that have no run, with the reason."""

    job: str
    first: datetime
    scheduled_for: datetime
    status: RunStatus
    count: int
    more: bool
    why: str
    lateness_s: float


def time_column(moment: datetime) -> str:
    """A time as it is stored."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def wire_time(moment: datetime) -> str:
    """A time for the wire: RFC 3339 with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_of(text: object) -> datetime:
    """The time in a column. Raises ValueError or TypeError."""
    if not isinstance(text, str):
        raise TypeError("no time")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or moment.year not in _YEARS:
        raise ValueError("no time that can be reckoned with")
    return moment.astimezone(UTC)


def standing_of(row: Sequence[Any]) -> tuple[str, StoredStanding]:
    """The job and the standing of a row of STANDING_COLUMNS. Raises ValueError or TypeError."""
    job, considered, fingerprint, retry_for, attempt, retry_at = row
    if not isinstance(job, str) or not isinstance(fingerprint, str):
        raise TypeError("no standing")
    retry = None
    if retry_for is not None:
        if not isinstance(attempt, int) or not 1 <= attempt <= 1000:
            raise TypeError("no retry")
        retry = StoredRetry(scheduled_for=moment_of(retry_for), attempt=attempt, at=moment_of(retry_at))
    return job, StoredStanding(considered=moment_of(considered), fingerprint=fingerprint, retry=retry)


def standing_values(job: str, standing: StoredStanding) -> tuple[object, ...]:
    """The values of STANDING_COLUMNS."""
    retry = standing.retry
    return (
        job, time_column(standing.considered), standing.fingerprint,
        None if retry is None else time_column(retry.scheduled_for), None if retry is None else retry.attempt,
        None if retry is None else time_column(retry.at),
    )  # fmt: skip


def run_of(row: Sequence[Any]) -> JobRun:
    """The run of a row of RUN_COLUMNS, to be shown: what has become bad in it is left out."""
    run_id, job, at, status, reason, attempt, lateness, first, missed, more, started, finished, turn_id, why = row
    return JobRun(
        run_id=str(run_id), job=text_of(job), scheduled_for=_shown(at) or text_of(at)[:64],
        status=word_of(status, _STATUSES, "failed"),
        reason=word_of(reason, _REASONS, None), attempt=number_of(attempt, 1), lateness_s=real_of(lateness),
        first=_shown(first), missed=number_of(missed), more=True if more else None, started_at=_shown(started),
        finished_at=_shown(finished), turn_id=optional(text_of, turn_id), why=optional(text_of, why),
    )  # fmt: skip


def unfinished_of(row: Sequence[Any]) -> UnfinishedRun:
    """The unfinished run of a row of RUN_COLUMNS."""
    return UnfinishedRun(run=run_of(row), scheduled_for=row[2])


def signed(number: int) -> int:
    """An integer as SQLite has room for it: the same where it has, else by its lowest 64 bits."""
    number &= (1 << 64) - 1
    return number - (1 << 64) if number >> 63 else number


def _shown(text: object) -> str | None:
    try:
        return wire_time(moment_of(text))
    except (ValueError, TypeError):
        return None
