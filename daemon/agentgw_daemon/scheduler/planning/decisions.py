"""Decisions of the planner: values that are committed first and acted upon then.

A `Standing` is what is stored of a job; every decision carries the one that belongs to it, to be written in the same
transaction as the row of the run.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from agentgw.protocol.records.schema import record
from agentgw_daemon.scheduler.planning.settling import FileState

Reason = Literal["on_time", "catch_up", "retry", "changed", "manual"]


@record
class Retry:
    """A run that failed and is to be tried again: attempt `attempt` (the first is 1) of a scheduled time, from `at`."""

    scheduled_for: datetime
    attempt: int
    at: datetime


@record
class Standing:
    """Stored state of a job. Scheduled times up to `considered` are decided and never come again.

    `fingerprint` is that of the schedule they belong to, "" while the job is off or gone.
    """

    considered: datetime
    fingerprint: str
    retry: Retry | None = None


@record
class Adopt:
    """Store the standing: the job is new, has other times than before, or has none any more."""

    job: str
    standing: Standing


@record
class Start:
    """Store the run and the standing, then start it. At most once for a job and scheduled time, but for retries.

    `missed` times went by without a run and are made up for by this one, itself among them where it is late;
    `more` where there were more than that. `alone` where no other run may start beside it. `stamps` are the changes
    that a run by `changed` is for, of `paths`.
    """

    job: str
    scheduled_for: datetime
    reason: Reason
    lateness_s: float
    standing: Standing
    attempt: int = 1
    missed: int = 0
    more: bool = False
    alone: bool = False
    paths: tuple[str, ...] = ()
    stamps: frozenset[FileState] = frozenset()


@record
class Record:
    """Store that scheduled times from `first` to `scheduled_for` have no run, with the reason, and the standing."""

    job: str
    status: Literal["missed", "skipped"]
    first: datetime
    scheduled_for: datetime
    count: int
    more: bool
    why: str
    lateness_s: float
    standing: Standing


PlannedAction = Adopt | Start | Record


@record
class Waiting:
    """A run that is due and does not start yet, with the reason."""

    job: str
    scheduled_for: datetime
    why: str


@record
class AskHistory:
    """Wanted: which times later than `since` had a run that began. The clock was set back before times decided."""

    job: str
    since: datetime


@record
class SchedulePlan:
    """Work to be done at once, and when to ask again at the latest (None: when something changes)."""

    actions: tuple[PlannedAction, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    asks: tuple[AskHistory, ...] = ()
    wake_at: datetime | None = None
