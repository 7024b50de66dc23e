"""The scheduled times of one job against the clock: which is due, which went by, how late. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, tzinfo
from typing import Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.scheduler.job import Job
from agentgw_daemon.scheduler.schedules.schedule import At, count_between, distance, latest_upto, next_after

# The loop looks at the clock at least twice a minute, and a busy machine is late by seconds: this is still on time.
ON_TIME: Final = timedelta(seconds=60)
# Each is searched for: a hundred take some milliseconds, and nobody wants to know more exactly.
MOST_COUNTED: Final = 100
_FIRST_BACKOFF: Final = timedelta(seconds=60)
_LONGEST_BACKOFF: Final = timedelta(hours=1)
_MICROSECOND: Final = timedelta(microseconds=1)


@record
class Due:
    """The last scheduled time that has come, and the first since the ones that are decided; both may be the same."""

    first: datetime
    slot: datetime
    starts_at: datetime

    @property
    def alone(self) -> bool:
        """Tells whether no other time has come since."""
        return self.first == self.slot


def starts_at(job: Job, slot: datetime, zone: tzinfo) -> datetime:
    """The time at which the run of a scheduled time begins: later by a part of the jitter, the same each time it is
    asked.

    At most half way to the next time, so that runs keep their order.
    """
    if not job.jitter_s:
        return slot
    most = timedelta(seconds=job.jitter_s)
    gap = distance(job.schedule, slot, zone)
    if gap is not None:
        most = min(most, gap / 2)
    digest = hashlib.blake2b(f"{job.name}\0{slot.isoformat()}".encode("utf-8", "replace"), digest_size=8).digest()
    return slot + int.from_bytes(digest) / 2**64 * most


def first_after(job: Job, considered: datetime, zone: tzinfo) -> datetime | None:
    """The first scheduled time that is not decided."""
    return next_after(job.schedule, considered, zone)


def due(job: Job, first: datetime, now: datetime, zone: tzinfo) -> Due | None:
    """The times that have come, of a job whose first undecided time is `first`. Many times take no longer than
    two.
    """
    begins = starts_at(job, first, zone)
    if begins > now:
        return None
    slot = latest_upto(job.schedule, now, zone) or first
    if (later := starts_at(job, slot, zone)) <= now:
        return Due(first=first, slot=slot, starts_at=later)
    # The jitter of the last one is not over, then that of the one before is.
    slot = latest_upto(job.schedule, slot - _MICROSECOND, zone) or first
    if slot <= first:
        return Due(first=first, slot=first, starts_at=begins)
    return Due(first=first, slot=slot, starts_at=starts_at(job, slot, zone))


def counted(job: Job, first: datetime, last: datetime, zone: tzinfo) -> tuple[int, bool]:
    """The number of scheduled times from `first` to `last`, and whether there are more than that."""
    count = 1 + count_between(job.schedule, first, last, zone, MOST_COUNTED - 1)
    return min(count, MOST_COUNTED), count > MOST_COUNTED


def before(job: Job, slot: datetime, zone: tzinfo) -> datetime | None:
    """The scheduled time before this one."""
    return latest_upto(job.schedule, slot - _MICROSECOND, zone)


def beginning(job: Job, now: datetime, written_at: datetime | None) -> datetime:
    """The time from which on a job that was not known before has its runs.

    A single time that passed while the daemon was not running, after it was written down, is owed.
    """
    if isinstance(job.schedule, At) and written_at is not None:
        return min(now, written_at)
    return now


def latest_start(job: Job, starts: datetime, *, noticed: bool) -> datetime | None:
    """The time until which a run may begin; None for no limit. `noticed` when its time was seen to come."""
    if job.grace_s is not None:
        return starts + max(timedelta(seconds=job.grace_s), ON_TIME)
    return None if noticed or job.misfire == "run_once" else starts + ON_TIME


def backoff(attempt: int) -> timedelta:
    """The pause after an attempt that failed, the first being 1."""
    return min(_FIRST_BACKOFF * (1 << (attempt - 1)), _LONGEST_BACKOFF)
