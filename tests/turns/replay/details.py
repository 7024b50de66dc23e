"""Recorded turns to compare."""

from __future__ import annotations

from agentgw.protocol.calls.turns import TurnDetail, TurnStep
from agentgw.protocol.types import Options, Timings, Turn, TurnStatus, Usage


def detail(state: TurnStatus = "completed", *, own_system: bool = False, kept: bool = True) -> TurnDetail:
    turn = Turn(turn_id="t", session_id="s", skill="cook", model="m", state=state, created_at="2026-01-01T00:00:00Z")
    return TurnDetail(
        turn=turn, message="", text="", system="", options=Options(), usage=Usage(), timings=Timings(),
        own_system=own_system, steps=(TurnStep(text=""),) if kept else (),
    )  # fmt: skip
