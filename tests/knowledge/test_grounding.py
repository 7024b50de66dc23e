"""Pieces of documents in a prompt: near ones, as many as their share holds, and never at the answer's cost."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from agentgw.protocol.errors import ModelUnavailable, RpcError, WorkerDied
from agentgw.protocol.types import ChatMessage, Chunk
from agentgw_daemon.inference.engine import PromptCount
from agentgw_daemon.knowledge.grounding import Grounded, Grounding, grounded
from agentgw_daemon.knowledge.search.search import SearchFindings
from agentgw_daemon.prompts.prompt import EarlierTurn, Prompt, with_excerpts

pytestmark = pytest.mark.anyio

PROMPT = Prompt(
    system="You help.",
    history=(EarlierTurn(messages=(ChatMessage(role="user", content="word " * 500),)),),
    message="How long is the boat?",
)


def piece(n: int, *, similarity: float | None = 0.9, words: int = 20) -> Chunk:
    return Chunk(
        document_id=f"d{n}", source=f"/notes/{n}.md", text=f"piece{n} " * words, score=1 / n, title_path="Boats",
        lines=(n, n + 1), similarity=similarity,
    )  # fmt: skip


async def count(messages: tuple[ChatMessage, ...]) -> PromptCount:
    """A token a word."""
    await trio.lowlevel.checkpoint()
    return PromptCount(text="", tokens=sum(len(one.content.split()) for one in messages), n_ctx_tokens=2000)


async def ground(*chunks: Chunk, most: int = 1000, notice: str | None = None) -> Grounded:
    async def find() -> SearchFindings:
        await trio.lowlevel.checkpoint()
        return SearchFindings(chunks=chunks, notice=notice)

    return await grounded(PROMPT, Grounding(find=find, most_tokens=most, least_similarity=0.3), count)


async def test_the_pieces_stand_before_the_message_with_number_and_source() -> None:
    made = await ground(piece(1), piece(2))
    content = made.prompt.messages()[-1].content
    assert made.prompt.excerpts == (piece(1), piece(2))
    assert content.index("[1] /notes/1.md\npiece1") < content.index("[2] /notes/2.md\npiece2")
    assert content.endswith("\n\nHow long is the boat?")


@pytest.mark.parametrize("similarity", [0.29, -0.5])
async def test_what_is_not_near_enough_stays_out(similarity: float) -> None:
    assert (await ground(piece(1, similarity=similarity), notice="half of it was searched")) == Grounded(prompt=PROMPT)


async def test_of_what_was_found_by_words_alone_the_score_says_whether_it_is_near_enough() -> None:
    good, bad = piece(3, similarity=None), piece(4, similarity=None)
    made = await ground(good, bad, piece(5), notice="only words were searched")
    assert made.prompt.excerpts == (good, piece(5))
    assert made.notice == "only words were searched"


@pytest.mark.parametrize(("most", "expected"), [(1000, 5), (200, 4), (60, 1), (40, 0), (10_000, 5)])
async def test_no_more_pieces_than_their_tokens(most: int, expected: int) -> None:
    made = await ground(*(piece(n, words=40) for n in range(1, 6)), most=most)
    assert made.prompt.excerpts == tuple(piece(n, words=40) for n in range(1, expected + 1))


async def test_a_quarter_of_the_context_is_the_most() -> None:
    made = await ground(*(piece(n, words=100) for n in range(1, 11)), most=5000)
    without = await count((ChatMessage(role="user", content=PROMPT.message),))
    shown = await count((ChatMessage(role="user", content=with_excerpts(PROMPT.message, made.prompt.excerpts)),))
    assert 0 < shown.tokens - without.tokens <= 500


@pytest.mark.parametrize(
    ("error", "notice"),
    [
        (ModelUnavailable("there is no embedder"), None),
        (WorkerDied("the search worker was killed"), "the documents were not searched: the search worker was killed"),
    ],
)
async def test_a_search_that_fails_costs_no_answer(error: RpcError, notice: str | None) -> None:
    async def find() -> SearchFindings:
        await trio.lowlevel.checkpoint()
        raise error

    made = await grounded(PROMPT, Grounding(find=find, most_tokens=100, least_similarity=0), count)
    assert made == Grounded(prompt=PROMPT, notice=notice)


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})])
async def test_a_search_that_hangs_costs_seconds_and_no_answer() -> None:
    async def find() -> SearchFindings:
        await trio.sleep_forever()
        raise AssertionError

    made = await grounded(PROMPT, Grounding(find=find, most_tokens=100, least_similarity=0), count)
    assert made.prompt == PROMPT
    assert made.notice is not None
    assert "longer than 15 s" in made.notice
