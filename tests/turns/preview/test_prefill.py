"""A prefill sends what the turn would send first, in the background, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw.protocol.calls.turns import PrefillResult, TurnStartParams
from agentgw.protocol.errors import NotFound
from agentgw.protocol.types import File, Options
from agentgw_daemon.inference.engine import EngineEvent, GenerationRequest
from agentgw_daemon.inference.spec import ModelSpec
from tests.agent.scripted import furnish
from tests.fakes import FakeModels
from tests.turns.house import House, finished, house

pytestmark = pytest.mark.anyio


async def prefill(h: House, message: str = "hi there", **params: Any) -> PrefillResult:
    return await h.turns.prefill(TurnStartParams(message=message, **params))


async def test_it_sends_what_the_turn_sends_and_asks_for_one_token(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        furnish(h)
        files = (File(name="a.md", text="text"),)
        result = await prefill(h, files=files)
        await h.ask("hi there", files=files)
        early, turn = h.engine.requests
        assert (early.messages, early.tools, early.special) == (turn.messages, turn.tools, turn.special)
        assert (early.background, early.draft, early.options.max_tokens, early.cache_scope) == (True, True, 1, "")
        assert turn.background is False
        assert result == PrefillResult(model="fake", prompt_tokens=5)


async def test_it_begins_with_the_session(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        first = await h.ask("first")
        await prefill(h, "second", session_id=first.session_id)
        await h.ask("second", session_id=first.session_id)
        _, early, turn = h.engine.requests
        assert len(early.messages) == 4
        assert early.messages == turn.messages


async def test_nothing_is_stored_and_nobody_is_told(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        told: list[Any] = []
        with h.services.hub.subscribed(["turns"], told.append):
            await prefill(h)
        assert (await h.database.statistics()).turns == 0
        assert (await h.database.statistics()).sessions == 0
        assert told == []
        assert h.turns.running == ()


async def test_documents_are_not_looked_for(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await prefill(h)
        assert h.papers.asked == []


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"options": Options(seed=1)}, "a turn with a seed computes all anew"),
        ({"schema": {"type": "object"}}, "a turn with a schema has a prompt of its own"),
    ],
)
async def test_what_could_not_be_found_again_is_not_computed(
    tmp_path: Path, params: dict[str, Any], reason: str
) -> None:
    async with house(tmp_path) as h:
        assert await prefill(h, **params) == PrefillResult(model="fake", reason=reason)
        assert h.engine.requests == []


@pytest.mark.parametrize("kind", ["builtin", "provider"])
async def test_nobody_elses_model_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    async def resolve(self: FakeModels, text: str | None) -> ModelSpec:
        return ModelSpec(name="m", kind=kind)  # type: ignore[arg-type]  # one of the kinds

    monkeypatch.setattr(FakeModels, "resolve_to_answer", resolve)
    async with house(tmp_path) as h:
        result = await prefill(h)
        assert result.reason == "only models on this machine keep what they computed"
        assert h.engine.requests == []


async def test_an_unknown_session_is_an_error(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        with pytest.raises(NotFound):
            await prefill(h, session_id="s-none")


async def test_leaving_ends_the_computing(tmp_path: Path) -> None:
    ended = trio.Event()
    begun = trio.Event()

    async def endless(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            ended.set()
        yield finished()

    async with house(tmp_path) as h:
        h.engine.script = endless
        async with trio.open_nursery() as nursery:
            nursery.start_soon(prefill, h)
            await begun.wait()
            nursery.cancel_scope.cancel()
        assert ended.is_set()
        assert h.turns.running == ()
