"""Pieces of the user's documents for a turn's prompt: the nearest ones, as many as their share of the context holds.

Nothing here may cost a turn its answer: when documents cannot be searched, it goes without, and the user is told.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.errors import ModelUnavailable, RpcError
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Chunk
from agentgw_daemon.approvals.policy import ASK, DENY
from agentgw_daemon.prompts.prompt import Prompt, PromptCounter, with_files

if TYPE_CHECKING:
    from agentgw.protocol.calls.turns import TurnStartParams
    from agentgw_daemon.config.settings import RagSection
    from agentgw_daemon.knowledge.search.search import Knowledge, SearchFindings
    from agentgw_daemon.skills.model import LoadedSkill

log = logging.getLogger(__name__)

# Of the context. The answer and the session need the rest.
_CONTEXT_SHARE: Final = 4
# An embedder reads a few hundred tokens; what follows says more about a file than about the question.
_QUERY_CHARACTERS: Final = 1000
# A worker that imports its engine and loads an index of 100,000 chunks takes two. Waiting longer is worse than going
# without.
_PATIENCE_S: Final = 15.0


@record
class Grounding:
    """Source of a turn's excerpts, at most how many tokens of them, and how near they must be."""

    find: Callable[[], Awaitable[SearchFindings]]
    most_tokens: int
    least_similarity: float


@record
class Grounded:
    """The prompt with its excerpts; `notice` is for the user."""

    prompt: Prompt
    notice: str | None = None


def grounding_of(
    knowledge: Knowledge, settings: RagSection, params: TurnStartParams, skill: LoadedSkill
) -> Grounding | None:
    """Excerpts for a skill that wants them. Whoever names tools gets what these give."""
    rag = skill.rag
    named = params.tools is not None or bool(set(params.approvals or ()) - {ASK, DENY})
    if rag is None or not rag.enabled or named or not settings.prompt_tokens:
        return None
    query = (params.message.strip() or with_files("", params.files))[:_QUERY_CHARACTERS]
    find = partial(
        knowledge.find,
        query,
        k=rag.top_k or settings.top_k,
        skills=rag.skills or (skill.name,),
        tags=rag.tags,
        demanding=False,
    )
    return Grounding(find=find, most_tokens=settings.prompt_tokens, least_similarity=settings.min_similarity)


async def grounded(prompt: Prompt, grounding: Grounding, count: PromptCounter) -> Grounded:
    """The prompt with the pieces that are near enough to help. Raises what `count` raises; asks it only for pieces."""
    try:
        with trio.move_on_after(_PATIENCE_S) as patience:
            found = await grounding.find()
    except ModelUnavailable:
        return Grounded(prompt=prompt)  # there is no embedder and there are no documents
    except RpcError as error:
        log.warning("documents were not searched: %s", error.message)
        return Grounded(prompt=prompt, notice=f"the documents were not searched: {error.message}")
    if patience.cancelled_caught:
        return Grounded(prompt=prompt, notice=f"the documents were not searched: it took longer than {_PATIENCE_S:g} s")
    near = _near(found.chunks, grounding.least_similarity)
    if not near:
        return Grounded(prompt=prompt)
    excerpts = near[: await _fitting(prompt, near, count, grounding.most_tokens)]
    return Grounded(prompt=dataclasses.replace(prompt, excerpts=excerpts), notice=found.notice)


def _near(chunks: tuple[Chunk, ...], least_similarity: float) -> tuple[Chunk, ...]:
    """The chunks near enough to help; where a vector was not compared, those of so good a score."""
    return tuple(
        chunk for chunk in chunks
        if (chunk.score if chunk.similarity is None else chunk.similarity) >= least_similarity
    )  # fmt: skip


async def _fitting(prompt: Prompt, chunks: tuple[Chunk, ...], count: PromptCounter, most_tokens: int) -> int:
    """The number of chunks, the best first, that stay within their share of the context."""

    async def tokens(number: int) -> int:
        return (await count(dataclasses.replace(prompt, history=(), excerpts=chunks[:number]).messages())).tokens

    without = await count(dataclasses.replace(prompt, history=()).messages())
    room = min(most_tokens, without.n_ctx_tokens // _CONTEXT_SHARE)
    # Monotonic, so halving finds it in log2 counts.
    low, high = 0, len(chunks)
    while low < high:
        middle = (low + high + 1) // 2
        if await tokens(middle) - without.tokens <= room:
            low = middle
        else:
            high = middle - 1
    return low
