"""A turn's prompt computed beforehand, while the user still types it.

What a model computed for a prompt is kept in its slot, and the turn that begins alike finds it there. Nothing is
stored, no event is told, and nothing gets to the disk: a draft is not a message. Leaving cancels it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from agentgw.protocol.calls.turns import PrefillResult, TurnStartParams
from agentgw.protocol.types import Session, SessionId, TurnId
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.inference.engine import Finished
from agentgw_daemon.inference.hearing import hear
from agentgw_daemon.turns.opening_prompt import opening_prompt

if TYPE_CHECKING:
    from agentgw_daemon.inference.spec import ModelSpec
    from agentgw_daemon.services import Services
    from agentgw_daemon.skills.model import LoadedSkill
    from agentgw_daemon.turns.plan import Plan


def obstacle(params: TurnStartParams, spec: ModelSpec, plan: Plan) -> str | None:
    """The reason for which nothing that was computed could be found again."""
    if spec.kind != "file":
        return "only models on this machine keep what they computed"
    if plan.task.request.recompute:
        return "a turn with a seed computes all anew"
    if params.schema is not None:
        return "a turn with a schema has a prompt of its own"
    return None


async def prefill(
    services: Services,
    params: TurnStartParams,
    session: Session | None,
    skill: LoadedSkill,
    plan: Plan,
    spec: ModelSpec,
) -> PrefillResult:
    """Computes the first prompt of a turn of `params`, in the background. Documents are left out: which of them are
    quoted is decided by the whole message, and they stand behind what the session said before.

    Raises what the turn would.
    """
    if (reason := obstacle(params, spec, plan)) is not None:
        return PrefillResult(model=spec.name, reason=reason)
    turn = TurnState(
        turn_id=TurnId(""), session_id=SessionId(session.session_id if session else ""), skill=skill.name,
        model=spec.name, stored=False, detached=False,
    )  # fmt: skip
    first = await opening_prompt(plan, turn, documents=False)
    made = await first.assembled(services.database, preview=True)
    step = first.opening.step(made.messages)
    request = dataclasses.replace(
        made.request, messages=step.messages, tools=step.tools, special=step.special, background=True, draft=True,
        # One token has to be drawn for the prompt to be computed to its end.
        options=dataclasses.replace(plan.task.request.options, max_tokens=1),
    )  # fmt: skip
    result = PrefillResult(model=spec.name, reason="it was cut off")
    async with hear(plan.task.engine, request) as events:
        async for event in events:
            if isinstance(event, Finished):
                usage = event.usage
                result = PrefillResult(
                    model=spec.name, prompt_tokens=usage.prompt_tokens, cached_tokens=usage.cached_tokens
                )
    return result
