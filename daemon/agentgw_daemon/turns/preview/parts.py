"""The parts of a turn's first prompt, counted by its model: of one that is to be, and of one on record."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentgw.protocol.calls.turns import PromptHistory, TurnParts
from agentgw.protocol.types import ChatMessage
from agentgw_daemon.agent.opening import TurnOpening, opening_of
from agentgw_daemon.inference.engine import UNLIMITED_TOKENS
from agentgw_daemon.prompts.assembly import assemble, generation_request
from agentgw_daemon.prompts.prompt import PromptCounter, count_parts
from agentgw_daemon.turns.replay.prompt import stored_prompt
from agentgw_daemon.turns.replay.tools import RecordedTools

if TYPE_CHECKING:
    from agentgw.protocol.calls.turns import TurnDetail
    from agentgw.protocol.types import File, PromptPart
    from agentgw_daemon.inference.engine import PromptCount, PromptMessage
    from agentgw_daemon.services import Services


async def parts_of(
    opening: TurnOpening,
    messages: tuple[ChatMessage, ...],
    message: str,
    files: Sequence[File],
    *,
    system: str,
    history: PromptHistory,
) -> tuple[PromptCount, tuple[PromptPart, ...]]:
    """The count of the prompt and its parts; `system` is what to call its system text.

    `message` and `files` are those of the request, `history` is how earlier turns stand in the messages.
    """
    if opening.leads(messages):
        return await _parts_of_call(opening, messages, message)
    names = [tool.name for tool in opening.offered] if opening.shows_tools(messages) else []
    tools: list[tuple[str, PromptCounter]] = [
        (f"tool {name}", functools.partial(opening.count, tools=number)) for number, name in enumerate(names, 1)
    ]
    return await count_parts(
        messages, functools.partial(opening.count, tools=0), system=system, message=message, files=files,
        excerpts=history.excerpts, tools=tools, summary=history.summarised_turns > 0 and not history.left_out_turns,
    )  # fmt: skip


async def _parts_of_call(
    opening: TurnOpening, messages: Sequence[PromptMessage], message: str
) -> tuple[PromptCount, tuple[PromptPart, ...]]:
    """The prompt with which a weak model writes the call that the request's words lead to."""
    step = opening.step(messages)
    assert step.schema is not None
    made = tuple(
        ChatMessage(role=one["role"], content=one["content"]) for one in step.messages if isinstance(one, dict)
    )
    tool = step.schema["properties"]["tool"]["const"]
    return await count_parts(made, opening.engine.count, system=f"tool {tool}", message=message, earlier="examples")


async def parts_of_stored(services: Services, detail: TurnDetail) -> TurnParts:
    """The parts of a stored turn's first prompt, as on record. Loads its model; raises what that raises."""
    spec = await services.models.resolve_to_answer(detail.turn.model)
    engine = await services.pool.engine(spec)
    prompt = await stored_prompt(services.database, detail, detail.system)
    base = generation_request(detail.options, schema=detail.schema)
    made = await assemble(prompt, base, shown=detail.history or PromptHistory())
    counted, parts = await parts_of(
        await opening_of(engine, RecordedTools(detail), detail.schema), made.messages, detail.message, (),
        system="system" if detail.own_system else f"skill {detail.turn.skill}", history=made.history,
    )  # fmt: skip
    return TurnParts(
        turn_id=detail.turn.turn_id, tokens=counted.tokens, parts=parts, estimated=counted.estimated,
        n_ctx_tokens=counted.n_ctx_tokens if counted.n_ctx_tokens < UNLIMITED_TOKENS else None,
    )  # fmt: skip
