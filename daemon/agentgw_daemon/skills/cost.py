"""Cost of a skill on this machine: its instructions counted, and read twice by the model that would answer.

It asks the engine as anybody does, waits in the same queue, and stores nothing. An endpoint is sent nothing: its
time is not this machine's, and its tokens are somebody's money.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agentgw.protocol.errors import RpcError
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import ChatMessage, Options, Skill, SkillCost, Usage
from agentgw_daemon.inference.engine import UNLIMITED_TOKENS, Engine, Finished, GenerationRequest, TextDelta
from agentgw_daemon.inference.hearing import hear
from agentgw_daemon.prompts.assembly import assemble, generation_request
from agentgw_daemon.prompts.prompt import count_parts, prompt_of

if TYPE_CHECKING:
    from agentgw_daemon.inference.pool import Pool
    from agentgw_daemon.models.registry import Registry
    from agentgw_daemon.skills.skill_set import SkillSet

# Something to answer: templates want a user's message. As short as can be, so that the skill is what is measured.
_MESSAGE: Final = "Hi"
# One token is the end of the prefill, and greedy draws no random numbers.
_ONE_TOKEN: Final = Options(max_tokens=1, temperature=0.0)


@record
class _Reading:
    """Time that one reading of a prompt took."""

    usage: Usage
    prefill_ms: float
    first_token_ms: float | None


async def measure(row: Skill, *, skills: SkillSet, models: Registry, pool: Pool) -> SkillCost:
    """The cost of a skill of the listing. What fails is in its `error`; never raises an RpcError."""
    cost = SkillCost(name=row.name, error=row.error)
    if row.error is not None:
        return cost
    try:
        skill = skills.get(row.name)
        spec = await models.resolve_to_answer(skill.model)
        cost = replace(cost, model=spec.name)
        engine = await pool.engine(spec)
        prompt = prompt_of(skill.instructions.strip(), (), _MESSAGE)
        made = await assemble(prompt, generation_request(_ONE_TOKEN))
        cost = await _counted(cost, engine, made.messages)
        return cost if spec.kind == "provider" else await _timed(cost, engine, made.request)
    except RpcError as error:
        return replace(cost, error=f"{error.message}. {error.hint}" if error.hint else error.message)


async def _counted(cost: SkillCost, engine: Engine, prompt: Sequence[ChatMessage]) -> SkillCost:
    whole, parts = await count_parts(prompt, engine.count, system="system", message=_MESSAGE)
    tokens = sum(part.tokens for part in parts if part.name == "system")
    unlimited = whole.n_ctx_tokens >= UNLIMITED_TOKENS
    return replace(
        cost, tokens=tokens, prompt_tokens=whole.tokens, share=None if unlimited else tokens / whole.n_ctx_tokens,
        estimated=whole.estimated or None,
    )  # fmt: skip


async def _timed(cost: SkillCost, engine: Engine, request: GenerationRequest) -> SkillCost:
    cold = await _read(engine, replace(request, recompute=True))
    warm = await _read(engine, request)
    if warm.usage.cached_tokens < warm.usage.prompt_tokens - 1:
        # A worker of several slots keeps nothing of a recomputed prompt, so this one filled the cache.
        warm = await _read(engine, request)
    return replace(
        cost, cold_ms=cold.prefill_ms, warm_ms=warm.prefill_ms, cached_tokens=warm.usage.cached_tokens,
        first_token_ms=cold.first_token_ms,
    )  # fmt: skip


async def _read(engine: Engine, request: GenerationRequest) -> _Reading:
    spoke = False
    finished: Finished | None = None
    async with hear(engine, request) as events:
        async for event in events:
            if isinstance(event, Finished):
                finished = event
            spoke = spoke or isinstance(event, TextDelta)
    assert finished is not None, "an engine's stream ends with Finished"
    times = finished.timings
    return _Reading(
        usage=finished.usage, prefill_ms=times.prefill_ms,
        first_token_ms=times.first_token_ms - times.queue_ms - times.load_ms if spoke else None,
    )  # fmt: skip
