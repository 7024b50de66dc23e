"""`turn.list` and `turn.cancel`: what runs, waits or never got its end, and how it is ended."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw.protocol.calls.sessions import SessionIdParams
from agentgw.protocol.calls.turns import TurnAttachParams, TurnIdParams, TurnListParams, TurnStartParams
from agentgw.protocol.errors import InternalError, InvalidParams, NotFound, SessionBusy, StorageUnavailable
from agentgw.protocol.types import Turn
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.inference.engine import EngineEvent, GenerationRequest, TextDelta
from agentgw_daemon.server.calls.request import RequestContext
from agentgw_daemon.server.handlers import session, turn
from agentgw_daemon.storage.sessions.turns import NewTurn, TurnStore
from tests.agent.scripted import furnish, script
from tests.fakes import FakeOutbox, request_to
from tests.polling import until
from tests.turns.house import House, finished, house

pytestmark = pytest.mark.anyio


async def for_ever(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
    yield TextDelta(texts=("Well",))
    await trio.sleep_forever()
    yield finished()


def asking(h: House, folder: Path, outbox: FakeOutbox | None = None) -> RequestContext:
    h.services.started.paths.kv_dir = str(folder / "kv")
    return request_to(h.services, h.turns, outbox)


async def listed(request: RequestContext, **params: Any) -> list[tuple[str, str, bool | None]]:
    found = await turn.list_turns(request, TurnListParams(**params))
    return [(one.turn_id, one.state, one.detached) for one in found.turns]


async def test_what_runs_is_listed_detached_and_unstored_turns_too(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        request = asking(h, tmp_path)
        ended = await h.ask()
        h.engine.script = for_ever
        attended, detached = await h.start(), await h.start(detach=True)
        unstored = await h.start(ephemeral=True)
        assert await listed(request, running=True) == [
            (unstored.turn_id, "running", None),
            (detached.turn_id, "running", True),
            (attended.turn_id, "running", None),
        ]
        assert (ended.turn_id, "completed", None) in await listed(request)
        await h.turns.stop()
        assert await listed(request, running=True) == []


@pytest.mark.parametrize("message", ["", " \n\t"])
async def test_a_blank_message_is_refused_and_leaves_no_turn(tmp_path: Path, message: str) -> None:
    async with house(tmp_path) as h:
        request = asking(h, tmp_path)
        with pytest.raises(InvalidParams, match="there is no message"):
            await turn.start(request, TurnStartParams(message=message))
        assert await listed(request) == []


@pytest.mark.parametrize("given", ["turn", "beginning", "session"])
async def test_a_running_turn_is_cancelled_by_what_people_have_at_hand(tmp_path: Path, given: str) -> None:
    async with house(tmp_path, for_ever) as h:
        turn_state = await h.start()
        turn_id = turn_state.turn_id
        name = {"turn": turn_id, "beginning": turn_id[:-2], "session": turn_state.session_id}[given]
        await turn.cancel(asking(h, tmp_path), TurnIdParams(turn_id=name))
        assert (await h.database.turns.get(turn_state.turn_id)).state == "cancelled"


async def test_a_turn_that_does_not_run_is_not_cancelled_and_one_hears_why(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        request = asking(h, tmp_path)
        ended, unstored = await h.ask(), await h.ask(ephemeral=True)
        for name, said in ((ended.turn_id, "completed"), (unstored.turn_id, "no running turn"), ("t-none", "no turn")):
            with pytest.raises(NotFound, match=said) as caught:
                await turn.cancel(request, TurnIdParams(turn_id=name))
            assert "agentgw turns" in caught.value.hint
        assert (await h.database.turns.get(ended.turn_id)).state == "completed"


async def orphan(h: House) -> Turn:
    """A turn that is on record as running and that nobody runs."""
    new = NewTurn(message="m", skill="general-assistant", model="fake", state="running")
    return (await h.database.turns.start(new)).turn


async def test_a_turn_whose_end_was_never_stored_can_be_cancelled_and_its_session_used(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        left = await orphan(h)
        with pytest.raises(SessionBusy):
            await h.ask(session_id=left.session_id)
        await turn.cancel(asking(h, tmp_path), TurnIdParams(turn_id=left.turn_id))
        assert (await h.database.turns.get(left.turn_id)).state == "interrupted"
        assert (await h.ask(session_id=left.session_id)).finish_reason == "stop"


async def test_a_session_with_a_turn_that_nobody_runs_is_deleted(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        left = await orphan(h)
        await session.delete(asking(h, tmp_path), SessionIdParams(session_id=left.session_id))
        with pytest.raises(NotFound):
            await h.database.turns.get(left.turn_id)


async def test_a_session_at_work_is_not_deleted_and_one_hears_how_to_end_the_turn(tmp_path: Path) -> None:
    async with house(tmp_path, for_ever) as h:
        request, turn_state = asking(h, tmp_path), await h.start()
        with pytest.raises(SessionBusy) as caught:
            await session.delete(request, SessionIdParams(session_id=turn_state.session_id))
        assert f"agentgw turns cancel {turn_state.turn_id}" in caught.value.hint
        await turn.cancel(request, TurnIdParams(turn_id=turn_state.turn_id))
        await session.delete(request, SessionIdParams(session_id=turn_state.session_id))


async def test_a_session_whose_turn_waits_for_an_answer_is_deleted_with_the_question(tmp_path: Path) -> None:
    async with house(tmp_path, script([("change", {"text": "x"})], "never")) as h:
        done = furnish(h)
        turn_state = await h.start()
        await until(h.services.approvals.list)
        await session.delete(asking(h, tmp_path), SessionIdParams(session_id=turn_state.session_id))
        assert (h.services.approvals.list(), h.turns.running, done) == ((), (), [])


async def ended_by(h: House, monkeypatch: pytest.MonkeyPatch, error: Exception) -> TurnState:
    async def finish(self: TurnStore, *_: object) -> None:
        await trio.lowlevel.checkpoint()
        raise error

    monkeypatch.setattr(TurnStore, "finish", finish)
    turn_state = await h.start()
    await turn_state.wait_outcome()
    return turn_state


async def test_an_end_that_cannot_be_stored_fails_that_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path) as h:
        with monkeypatch.context() as patch:
            turn_state = await ended_by(h, patch, UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed"))
        assert isinstance(turn_state.outcome, InternalError)
        stored = await h.database.turns.get(turn_state.turn_id)
        assert (stored.state, stored.error) == ("failed", turn_state.outcome.message)
        assert (await h.ask(session_id=turn_state.session_id)).finish_reason == "stop"


async def test_an_end_that_the_disk_does_not_take_leaves_a_turn_that_can_be_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as h:
        with monkeypatch.context() as patch:
            turn_state = await ended_by(h, patch, StorageUnavailable("the disk is full"))
        assert isinstance(turn_state.outcome, StorageUnavailable)
        await turn.cancel(asking(h, tmp_path), TurnIdParams(turn_id=turn_state.turn_id))
        assert (await h.ask(session_id=turn_state.session_id)).finish_reason == "stop"


async def test_a_bug_in_ending_a_turn_ends_the_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        await trio.lowlevel.checkpoint()
        raise RecursionError

    async with house(tmp_path) as h:
        with monkeypatch.context() as patch:
            patch.setattr("agentgw_daemon.turns.run._end", broken)
            turn_state = await h.start()
            assert isinstance(await turn_state.wait_outcome(), InternalError)
            await until(lambda: not h.turns.running)
        assert (await h.database.turns.get(turn_state.turn_id)).state == "failed"
        assert (await h.ask(session_id=turn_state.session_id)).finish_reason == "stop"


async def test_whoever_wants_the_whole_answer_is_told_all_but_its_deltas(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        outbox = FakeOutbox()
        request = asking(h, tmp_path, outbox)
        ended = await turn.start(request, TurnStartParams(message="Hi", whole=True))
        assert ended.text == "Hello there"
        assert h.engine.requests[-1].whole
        told = [json.loads(line) for line in outbox.frames.splitlines()]
        assert {one["method"] for one in told} >= {"turn.started", "turn.progress", "turn.completed"}
        assert "turn.delta" not in {one["method"] for one in told}
        assert told[-1]["params"]["seq"] == ended.last_seq, "the numbers are those of its log"
        await turn.attach(request, TurnAttachParams(turn_id=ended.turn_id))
        assert b"turn.delta" in outbox.frames, "others may watch it"
