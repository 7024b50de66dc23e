"""Decisions of the planner as rows of the database, and standings back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from agentgw.protocol.calls.jobs import JobRun
from agentgw_daemon.scheduler.planning.decisions import Record, Retry, Standing, Start
from agentgw_daemon.scheduler.planning.settling import FileState
from agentgw_daemon.storage.jobs.job_rows import (
    NewRun,
    RunlessTimes,
    StoredRetry,
    StoredStamp,
    StoredStanding,
    UnfinishedRun,
    moment_of,
)


def to_row(standing: Standing) -> StoredStanding:
    """The standing as it is stored."""
    retry = standing.retry
    kept = None
    if retry is not None:
        kept = StoredRetry(scheduled_for=retry.scheduled_for, attempt=retry.attempt, at=retry.at)
    return StoredStanding(considered=standing.considered, fingerprint=standing.fingerprint, retry=kept)


def from_rows(rows: Mapping[str, StoredStanding]) -> dict[str, Standing]:
    """The standings as the planner takes them."""
    return {job: _standing(row) for job, row in rows.items()}


def _standing(row: StoredStanding) -> Standing:
    kept = row.retry
    retry = None
    if kept is not None:
        retry = Retry(scheduled_for=kept.scheduled_for, attempt=kept.attempt, at=kept.at)
    return Standing(considered=row.considered, fingerprint=row.fingerprint, retry=retry)


def run_of(start: Start) -> NewRun:
    """The row of a run."""
    return NewRun(
        job=start.job, scheduled_for=start.scheduled_for, reason=start.reason, attempt=start.attempt,
        lateness_s=round(start.lateness_s, 3), missed=start.missed, more=start.more,
    )  # fmt: skip


def start_of(going: UnfinishedRun, standing: Standing) -> Start:
    """The start of a run that is on record. Raises ValueError or TypeError for a bad row."""
    run = going.run
    return Start(
        job=run.job, scheduled_for=moment_of(going.scheduled_for), reason=run.reason or "manual", standing=standing,
        lateness_s=run.lateness_s, attempt=run.attempt, missed=run.missed, more=bool(run.more),
        alone=run.reason == "catch_up" or run.missed > 0,
    )  # fmt: skip


def passed_s(run: JobRun, now: datetime) -> float:
    """The time since a run began, the daemon's absence included. Raises ValueError for a bad row."""
    return 0.0 if run.started_at is None else max((now - moment_of(run.started_at)).total_seconds(), 0.0)


def times_of(decided: Record) -> RunlessTimes:
    """The row of times without a run."""
    return RunlessTimes(
        job=decided.job, first=decided.first, scheduled_for=decided.scheduled_for, status=decided.status,
        count=decided.count, more=decided.more, why=decided.why, lateness_s=round(decided.lateness_s, 3),
    )  # fmt: skip


def stamps_of(states: frozenset[FileState]) -> tuple[StoredStamp, ...]:
    """The rows of files' states."""
    return tuple(StoredStamp(inode=one.inode, size=one.size, mtime_ns=one.mtime_ns) for one in states)


def states_of(stamps: frozenset[StoredStamp]) -> frozenset[FileState]:
    """The states of files that rows stand for."""
    return frozenset(FileState(inode=one.inode, size=one.size, mtime_ns=one.mtime_ns) for one in stamps)
