"""A turn that is not run: its prompt rendered and counted by parts. Nothing is stored and no model is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.protocol.calls.turns import PromptHistory, TurnResult, TurnStartParams
from agentgw.protocol.errors import ContextOverflow
from agentgw.protocol.records.schema import dump
from agentgw.protocol.types import PromptFit, Session, SessionId, TurnId, Usage
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.inference.engine import UNLIMITED_TOKENS
from agentgw_daemon.turns.opening_prompt import opening_prompt
from agentgw_daemon.turns.preview.parts import parts_of

if TYPE_CHECKING:
    from agentgw_daemon.services import Services
    from agentgw_daemon.skills.model import LoadedSkill
    from agentgw_daemon.turns.plan import Plan


async def dry_run(
    services: Services, params: TurnStartParams, session: Session | None, skill: LoadedSkill, plan: Plan, model: str
) -> TurnResult:
    """The request that a turn of `params` would send first, as the turn's result shows it.

    Raises ContextOverflow where the turn would, with the parts of what does not fit.
    """
    turn = TurnState(
        turn_id=TurnId(""), session_id=SessionId(session.session_id if session else ""), skill=skill.name, model=model,
        stored=False, detached=False,
    )  # fmt: skip
    first = await opening_prompt(plan, turn)
    prompt, opening = first.prompt, first.opening
    named = f"skill {skill.name}" if params.system is None else "system"
    try:
        made = await first.assembled(services.database, preview=True)
    except ContextOverflow as error:
        left = PromptHistory(excerpts=prompt.excerpts)
        _, parts = await parts_of(
            opening, prompt.messages(len(prompt.history)), params.message, params.files, system=named, history=left
        )
        error.data["parts"] = dump(parts)
        raise
    counted, parts = await parts_of(
        opening, made.messages, params.message, params.files, system=named, history=made.history
    )
    return TurnResult(
        turn_id="", session_id=turn.session_id, text=counted.text, usage=Usage(prompt_tokens=counted.tokens),
        parts=parts,
        fit=PromptFit(
            n_ctx_tokens=counted.n_ctx_tokens if counted.n_ctx_tokens < UNLIMITED_TOKENS else None,
            left_out_turns=made.left_out_turns, left_out_tokens=made.left_out_tokens,
            estimated=counted.estimated, summarised_turns=made.history.summarised_turns,
            to_summarise_turns=made.due_turns,
        ),
    )  # fmt: skip
