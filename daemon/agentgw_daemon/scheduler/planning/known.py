"""State of the planner that is not stored: each job, the last time nobody could look, the plan being made."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.scheduler.job import Job
from agentgw_daemon.scheduler.planning.choosing import DueRun
from agentgw_daemon.scheduler.planning.decisions import AskHistory, PlannedAction, Standing, Start, Waiting
from agentgw_daemon.scheduler.planning.settling import Settled

# Reasons why nobody could look.
ASLEEP: Final = "the computer was asleep"
SET_FORWARD: Final = "the clock was set forward"
NOT_RUNNING: Final = "agentgw was not running"


@dataclass(slots=True, kw_only=True)
class Known:
    """Memory of a job beside its standing; nothing of it has to survive."""

    job: Job
    standing: Standing | None = None
    running: Start | None = None
    present: bool = True
    # The first time that is not decided, None where none comes; looked up once for a standing and a zone.
    first: datetime | None = None
    looked: bool = False
    # The time that was seen to come, so that waiting does not make it late.
    noticed: datetime | None = None
    waited: str = ""
    # Its times cannot be reckoned with, by a mistake of ours.
    faulty: bool = False
    wanted_at: datetime | None = None
    changed: Settled | None = None
    changed_at: datetime | None = None
    # While the clock is behind `considered`: how far it has come since, and what had a run; None until answered.
    cursor: datetime | None = None
    began: frozenset[datetime] | None = None


@record
class Gap:
    """A span of the wall clock in which nobody could look, with the reason."""

    start: datetime
    end: datetime
    why: str


@dataclass(slots=True)
class Gathered:
    """Material that one plan gathers."""

    actions: list[PlannedAction] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    asks: list[AskHistory] = field(default_factory=list)
    candidates: list[DueRun] = field(default_factory=list)
    wakes: list[datetime] = field(default_factory=list)
