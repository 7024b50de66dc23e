"""Summaries that the user asks for: what the model is shown from then on, and what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentgw.protocol.calls.sessions import SessionCompacted, SessionCompactParams, SessionIdParams
from agentgw.protocol.errors import AlreadyExists, ModelUnavailable, NotFound, SessionBusy, WorkerDied
from agentgw_daemon.inference.engine import EngineEvent, GenerationRequest, TextDelta, text_of
from agentgw_daemon.server.calls.request import RequestContext
from agentgw_daemon.server.handlers import session
from agentgw_daemon.turns.earlier.compacting import compact, expand
from tests.fakes import request_to
from tests.turns.house import House, finished, house

pytestmark = pytest.mark.anyio

NOTES = "Summary of our conversation so far:\n"


async def long_answers(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
    """Many words for a message, few for a summary."""
    summing_up = "summarise conversations" in text_of(request.messages[0])
    yield TextDelta(texts=("short notes" if summing_up else "word " * 40,))
    yield finished()


async def talked(h: House, turns: int = 3) -> str:
    session_id = (await h.ask("question 1")).session_id
    for number in range(2, turns + 1):
        await h.ask(f"question {number}", session_id=session_id)
    return session_id


async def shown(h: House, session_id: str, message: str = "next") -> list[str]:
    """Contents of the messages that a turn sends, the system text aside."""
    await h.ask(message, session_id=session_id)
    return [text_of(one) for one in h.engine.requests[-1].messages[1:]]


async def compacted(h: House, session_id: str, **params: int | str) -> SessionCompacted:
    return await compact(h.services, SessionCompactParams(session_id=session_id, **params))  # type: ignore[arg-type]  # each of its own type


async def test_every_turn_is_shown_the_summary_in_place_of_the_oldest_turns(tmp_path: Path) -> None:
    async with house(tmp_path, long_answers) as h:
        session_id = await talked(h)
        made = await compacted(h, session_id)
        asked = text_of(h.engine.requests[-1].messages[-1])
        assert [f"User: question {number}" in asked for number in (1, 2, 3)] == [True, True, False]
        assert (made.session_id, made.turns, made.summary) == (session_id, 2, "short notes")
        # Three turns of 42 words and an empty message; two of them became the 15 words of the pair.
        assert (made.tokens_before, made.tokens_after) == (3 * 42 + 1, 42 + 1 + 15)
        contents = await shown(h, session_id)
        assert contents[0] == f"{NOTES}short notes"
        assert contents[2:] == ["question 3", "word " * 40, "next"]
        stored = await h.database.sessions.messages(session_id)
        assert [one.content for one in stored.messages if one.role == "user"] == [
            "question 1", "question 2", "question 3", "next"
        ]  # fmt: skip


async def test_what_the_model_was_shown_is_on_record(tmp_path: Path) -> None:
    async with house(tmp_path, long_answers) as h:
        session_id = await talked(h)
        await compacted(h, session_id)
        turn = await h.ask("next", session_id=session_id)
        detail = await h.database.turns.detail(turn.turn_id)
        assert detail.history is not None
        assert (detail.history.summarised_turns, detail.history.summary) == (2, "short notes")
        assert detail.history.left_out_turns == 0


async def test_taking_it_back_shows_the_turns_whole_again(tmp_path: Path) -> None:
    async with house(tmp_path, long_answers) as h:
        session_id = await talked(h)
        await compacted(h, session_id)
        assert (await expand(h.services, session_id[:-1])).turns == 0
        contents = await shown(h, session_id)
        assert [contents[place] for place in (0, 2, 4, 6)] == ["question 1", "question 2", "question 3", "next"]
        with pytest.raises(NotFound, match="shown whole"):
            await expand(h.services, session_id)


async def test_the_second_summary_builds_on_the_first_and_goes_back_to_it(tmp_path: Path) -> None:
    async with house(tmp_path, long_answers) as h:
        session_id = await talked(h)
        await compacted(h, session_id)
        await shown(h, session_id)
        await shown(h, session_id, "and on")
        made = await compacted(h, session_id)
        asked = text_of(h.engine.requests[-1].messages[-1])
        assert asked.startswith(f"{NOTES}short notes")
        assert "question 2" not in asked
        assert "User: question 3" in asked
        assert made.turns == 4
        assert (await expand(h.services, session_id)).turns == 2
        assert (await shown(h, session_id))[2] == "question 3"


async def test_one_that_was_taken_back_is_not_written_again(tmp_path: Path) -> None:
    async with house(tmp_path, long_answers) as h:
        session_id = await talked(h)
        await compacted(h, session_id)
        await expand(h.services, session_id)
        requests = len(h.engine.requests)
        assert (await compacted(h, session_id)).turns == 2
        assert len(h.engine.requests) == requests
        assert (await shown(h, session_id))[0] == f"{NOTES}short notes"


async def test_all_turns_can_be_summed_up(tmp_path: Path) -> None:
    async with house(tmp_path, long_answers) as h:
        session_id = await talked(h)
        assert (await compacted(h, session_id, keep=0)).turns == 3
        contents = await shown(h, session_id)
        assert (len(contents), contents[2]) == (3, "next")


async def test_what_has_nothing_to_sum_up_is_refused(tmp_path: Path) -> None:
    async with house(tmp_path, long_answers) as h:
        session_id = await talked(h, turns=1)
        with pytest.raises(NotFound, match=r"turns of the session: 1, of which stay as they are: 1$"):
            await compacted(h, session_id)
        await h.ask("more", session_id=session_id)
        await compacted(h, session_id)
        with pytest.raises(AlreadyExists, match="stands for the 1 oldest"):
            await compacted(h, session_id)


@pytest.mark.parametrize("text", ["", " \n", "word " * 200], ids=["nothing", "blank", "longer"])
async def test_a_summary_that_saves_nothing_changes_nothing(tmp_path: Path, text: str) -> None:
    async def useless(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield TextDelta(texts=(text,) if "summarise" in text_of(request.messages[0]) else ("an answer",))
        yield finished()

    async with house(tmp_path, useless) as h:
        session_id = await talked(h)
        made = await compacted(h, session_id)
        assert (made.turns, made.summary) == (0, None)
        assert made.tokens_before == made.tokens_after
        assert (await shown(h, session_id))[0] == "question 1"


async def test_a_model_that_fails_says_so_and_changes_nothing(tmp_path: Path) -> None:
    async def dies(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        if "summarise" in text_of(request.messages[0]):
            raise WorkerDied("the worker died")
        yield TextDelta(texts=("an answer",))
        yield finished()

    async with house(tmp_path, dies) as h:
        session_id = await talked(h)
        with pytest.raises(WorkerDied):
            await compacted(h, session_id)
        with pytest.raises(ModelUnavailable):
            await compacted(h, session_id, model="missing")
        assert await h.database.summaries.latest(session_id) is None


def asked_of(h: House) -> RequestContext:
    return request_to(h.services, h.turns)


async def test_a_busy_session_is_left_alone(tmp_path: Path) -> None:
    async with house(tmp_path, long_answers) as h:
        session_id = await talked(h)
        turn = await h.start("more", session_id=session_id)
        with pytest.raises(SessionBusy):
            await session.compact(asked_of(h), SessionCompactParams(session_id=session_id))
        await turn.wait_outcome()
        assert (await session.compact(asked_of(h), SessionCompactParams(session_id=session_id))).turns == 3
        await session.expand(asked_of(h), SessionIdParams(session_id=session_id))


async def test_a_fork_from_before_the_summary_has_none(tmp_path: Path) -> None:
    async with house(tmp_path, long_answers) as h:
        session_id = await talked(h)
        first = (await h.database.turns.list(session_id)).turns[-1]
        await compacted(h, session_id)
        whole = await h.database.sessions.fork(session_id)
        early = await h.database.sessions.fork(session_id, at=first.turn_id)
        assert (await shown(h, whole.session_id))[0] == f"{NOTES}short notes"
        assert (await shown(h, early.session_id))[0] == "question 1"
