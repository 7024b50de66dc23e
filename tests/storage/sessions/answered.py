"""A session with an answered turn."""

from __future__ import annotations

from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.sessions.turns import NewTurn, TurnEnd


async def answered(
    database: Database, message: str = "hi", skill: str = "s", model: str = "echo", **fields: str
) -> str:
    """The id of a completed turn."""
    turn = (await database.turns.start(NewTurn(message=message, skill=skill, model=model, **fields))).turn  # type: ignore[arg-type]  # texts only
    await database.turns.finish(turn.turn_id, TurnEnd(state="completed", finish_reason="stop", text="yes"))
    return turn.turn_id
