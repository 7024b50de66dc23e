"""The user's documents in turns: quoted in prompts, searched by a tool, told, stored, and what they taint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agentgw.protocol.calls.turns import TurnReplayParams, TurnResult, TurnStartParams
from agentgw.protocol.events import TurnSources
from agentgw.protocol.types import Chunk
from agentgw_daemon.inference.engine import text_of
from agentgw_daemon.prompts.prompt import with_excerpts
from agentgw_daemon.skills.model import Rag
from agentgw_daemon.tools.builtins.search_documents import SearchDocuments
from tests.agent.scripted import furnish, script
from tests.turns.frames import watched
from tests.turns.house import House, house

pytestmark = pytest.mark.anyio


def piece(n: int, similarity: float = 0.8) -> Chunk:
    return Chunk(
        document_id=f"d{n}", source=f"/notes/{n}.md", text=f"Fact {n}.", score=1 / n, title_path="Facts",
        lines=(n, n), similarity=similarity,
    )  # fmt: skip


def stock(h: House, *chunks: Chunk, rag: Rag | None = None) -> None:
    h.papers.chunks = chunks
    h.skills["general-assistant"] = replace(h.skills["general-assistant"], rag=rag)
    h.tools["search_documents"] = SearchDocuments(h.papers.search)


async def test_a_skill_that_wants_documents_gets_the_near_ones_before_the_message(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        stock(h, piece(1), piece(2), piece(3, similarity=0.1), rag=Rag(top_k=7, tags=("home",)))
        turn = await h.start("what is it?")
        outcome = await turn.wait_outcome()
        assert h.papers.asked == [("what is it?", 7, ("general-assistant",), ("home",))]
        shown = text_of(h.engine.requests[0].messages[-1])
        assert shown == with_excerpts("what is it?", (piece(1), piece(2)))
        assert isinstance(outcome, TurnResult)
        assert outcome.sources == (piece(1), piece(2))
        assert [event for event in turn.log.events if isinstance(event, TurnSources)] == [
            TurnSources(chunks=(piece(1), piece(2)))
        ]
        detail = await h.database.turns.detail(turn.turn_id)
        assert (detail.message, detail.sources) == ("what is it?", outcome.sources)
        assert detail.history is not None
        assert detail.history.excerpts == outcome.sources
        assert await h.turns.stored_outcome(detail.turn) == outcome


async def test_later_turns_are_shown_the_message_without_what_was_quoted(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        stock(h, piece(1), rag=Rag())
        first = await h.ask("one")
        h.papers.chunks = ()
        await h.ask("two", session_id=first.session_id)
        assert [text_of(message) for message in h.engine.requests[1].messages] == [
            "Be good.",
            "one",
            "Hello there",
            "two",
        ]


@pytest.mark.parametrize("rag", [None, Rag(enabled=False)])
async def test_a_skill_that_does_not_want_them_gets_none(tmp_path: Path, rag: Rag | None) -> None:
    async with house(tmp_path) as h:
        stock(h, piece(1), rag=rag)
        assert (await h.ask()).sources == ()
        assert h.papers.asked == []


async def test_whoever_names_tools_gets_what_these_give(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        stock(h, piece(1), rag=Rag())
        await h.ask(tools=("search_documents",))
        furnish(h)
        await h.ask(approvals=("change", "deny"))
        assert h.papers.asked == []
        await h.ask(approvals=("deny",))
        assert len(h.papers.asked) == 1


async def test_what_is_quoted_taints_the_session_so_that_sending_always_asks(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        done = furnish(h)
        stock(h, piece(1), rag=Rag())
        h.engine.script = script([("post", {"text": "secret"})], "sent")
        turn = await h.start(approvals=("deny",))
        await turn.wait_outcome()
        assert await h.database.calls.is_tainted(turn.session_id)
        # Without documents an allowed tool sends; with one of them quoted, nobody's word beforehand is enough.
        h.configure(replace(h.services.settings, tools=replace(h.services.settings.tools, allow=("post",))))
        h.engine.script = script([("post", {"text": "secret"})], "sent")
        await (await h.start(approvals=("deny",))).wait_outcome()
        assert done == []
        h.papers.chunks = ()
        h.engine.script = script([("post", {"text": "hello"})], "sent")
        await (await h.start(approvals=("deny",))).wait_outcome()
        assert done == ["post hello"]


async def test_the_tool_finds_what_the_skill_may_see_and_its_pieces_become_sources(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        stock(h, piece(1), piece(2))
        h.engine.script = script([("search_documents", {"query": "facts", "k": 2})], "Fact 1 [1].")
        turn = await h.start()
        outcome = await turn.wait_outcome()
        assert isinstance(outcome, TurnResult)
        assert outcome.sources == (piece(1), piece(2))
        assert h.papers.asked == [("facts", 2, ("general-assistant",), ())]
        (call,) = outcome.tool_calls
        assert call.content is not None
        assert "[1] /notes/1.md, lines 1-1, Facts\nFact 1." in call.content
        assert await h.database.calls.is_tainted(turn.session_id)


async def test_a_piece_found_twice_keeps_its_number_and_is_told_once(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        stock(h, piece(1), rag=Rag())
        turn = await h.start()
        await turn.wait_outcome()
        assert await turn.cite((piece(2), piece(1), piece(2))) == (2, 1, 2)
        assert turn.sources == [piece(1), piece(2)]
        told = [frame["params"]["chunks"] for frame in await watched(turn) if frame["method"] == "turn.sources"]
        assert [[chunk["document_id"] for chunk in chunks] for chunks in told] == [["d1"], ["d2"]]


async def test_without_documents_the_tool_is_not_shown(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        stock(h)
        turn = await h.start(tools=("search_documents",))
        await turn.wait_outcome()
        assert (await h.database.turns.detail(turn.turn_id)).tools == ()


async def test_a_dry_run_counts_what_would_be_quoted(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        stock(h, piece(1), rag=Rag())
        result = await h.turns.dry_run(TurnStartParams(message="hi there"))
        assert "Fact 1." in result.text
        assert "excerpts of documents" in [part.name for part in result.parts or ()]
        assert sum(part.tokens for part in result.parts or ()) == result.usage.prompt_tokens


async def test_a_replay_shows_what_was_quoted_then_whatever_is_found_now(tmp_path: Path) -> None:
    from agentgw_daemon.turns.replay.run import replay

    async def tell(*_: object) -> None:
        """Drops a notice that nobody watches."""

    async with house(tmp_path) as h:
        stock(h, piece(1), rag=Rag())
        turn = await h.ask("what is it?")
        h.papers.chunks = (piece(2),)
        await replay(h.services, TurnReplayParams(turn_id=turn.turn_id), tell)
        shown = [text_of(request.messages[-1]) for request in h.engine.requests]
        assert shown[1] == shown[0] == with_excerpts("what is it?", (piece(1),))


async def test_a_fork_keeps_the_sources(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        stock(h, piece(1), rag=Rag())
        turn = await h.ask()
        fork = await h.database.sessions.fork(turn.session_id)
        latest = await h.database.turns.latest(fork.session_id)
        assert latest is not None
        assert (await h.database.turns.detail(latest.turn_id)).sources == (piece(1),)
