"""Choice of the runs that start, among those that are due: what each needs, and what they share. Pure.

What somebody asked for by hand waits for nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.scheduler.job import NEEDS, Job, Need
from agentgw_daemon.scheduler.planning.decisions import Reason
from agentgw_daemon.scheduler.planning.times import Due

HELD: Final = "the computer goes to sleep"
SETTLING: Final = "the computer has just woken up"
OTHERS: Final = "other jobs are running"
NEED_REASONS: Final[Mapping[Need, str]] = {
    "network": "needs the network",
    "unmetered": "needs a network that is not metered",
    "ac": "needs mains power",
    "idle": "needs an idle computer",
}


@record
class DueRun:
    """A run that is due. `due` where it is for an undecided scheduled time, `late` where it is of a backlog."""

    job: Job
    scheduled_for: datetime
    starts_at: datetime
    reason: Reason
    late: bool = False
    due: Due | None = None


@record
class Conditions:
    """Conditions that hold for all runs: how many go on, whether one of them makes up for a time, and how many
    may otherwise.
    """

    held: bool
    settling: bool
    met: frozenset[Need]
    running: int
    alone: bool
    limit: int


@record
class RunChoice:
    """Runs to start, and runs that wait, with the reason."""

    starts: tuple[DueRun, ...]
    waits: tuple[tuple[DueRun, str], ...]


def choose(candidates: Iterable[DueRun], conditions: Conditions) -> RunChoice:
    """The runs to start, in the order of their times; one by one while one of them is late."""
    ready, waits = [], []
    for candidate in sorted(candidates, key=lambda found: (found.reason != "manual", found.starts_at, found.job.name)):
        why = _obstacle(candidate, conditions)
        if why:
            waits.append((candidate, why))
        else:
            ready.append(candidate)
    alone = conditions.alone or any(one.late for one in ready)
    free = (1 if alone else conditions.limit) - conditions.running
    starts = []
    for candidate in ready:
        if candidate.reason != "manual" and free <= 0:
            waits.append((candidate, OTHERS))
        else:
            starts.append(candidate)
            free -= 1
    return RunChoice(starts=tuple(starts), waits=tuple(waits))


def _obstacle(candidate: DueRun, conditions: Conditions) -> str:
    if candidate.reason == "manual":
        return ""
    if conditions.held:
        return HELD
    if conditions.settling:
        return SETTLING
    return next((NEED_REASONS[need] for need in NEEDS if need in candidate.job.needs - conditions.met), "")
