"""Prompt of a stored turn, out of what is on record of its session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw_daemon.prompts.prompt import Prompt, history_of, prompt_of

if TYPE_CHECKING:
    from agentgw.protocol.calls.turns import TurnDetail
    from agentgw_daemon.storage.database import Database


async def stored_prompt(database: Database, detail: TurnDetail, system: str) -> Prompt:
    """The prompt with the session as it was before the turn. How the model was shown it, `assemble` is told with the
    turn's `history`.
    """
    rows = await database.sessions.history_before(detail.turn.turn_id)
    return prompt_of(system, history_of(rows), detail.message, detail.schema)
