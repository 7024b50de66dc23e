"""Counts of what is stored: `stats.*`."""

from __future__ import annotations

from typing import Annotated

from agentgw.protocol import types as t
from agentgw.protocol.records.schema import record


@record
class StatsResult:
    """Counts since the database was made."""

    sessions: int
    turns: int
    messages: int
    completion_tokens: int
    turns_by_state: dict[str, int]
    turns_by_model: dict[str, int]
    db_bytes: int
    feedback: Annotated[tuple[t.FeedbackCount, ...], "ratings by skill and model"] = ()
