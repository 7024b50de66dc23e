"""The log of a running turn: numbers without holes, owners that hold back, watchers that do not."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from agentgw.protocol.events import TurnCompleted, TurnDelta, TurnProgress, TurnStarted
from agentgw.protocol.results import TurnResult
from agentgw.protocol.types import SessionId, TurnId
from agentgw_daemon.events.turn_log import TurnLog

pytestmark = pytest.mark.anyio


def make(*, detached: bool = False) -> TurnLog:
    return TurnLog(
        turn_id=TurnId("t-1"), session_id=SessionId("s-1"), skill="k", model="m", stored=True, detached=detached
    )


def result(live: TurnLog) -> TurnResult:
    return TurnResult(turn_id=live.turn_id, session_id=live.session_id, last_seq=live.last_seq)


async def frames(live: TurnLog, from_seq: int = 1) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    async for batch in live.watch(from_seq):
        made += [json.loads(line) for line in batch.splitlines()]
    return made


async def test_every_event_has_the_ids_and_the_next_number() -> None:
    live = make()
    await live.append(TurnStarted(skill="k", model="m"), TurnProgress(phase="queued", position=2))
    await live.append(TurnDelta(text='a"\n\x01é'), TurnCompleted(finish_reason="stop"))
    live.end(result(live))
    made = await frames(live)
    assert [frame["params"].pop("seq") for frame in made] == [1, 2, 3, 4]
    assert {frame["params"].pop("turn_id") for frame in made} == {"t-1"}
    assert {frame["params"].pop("session_id") for frame in made} == {"s-1"}
    assert [(frame["method"], frame["params"]) for frame in made] == [
        ("turn.started", {"skill": "k", "model": "m"}),
        ("turn.progress", {"phase": "queued", "done": 0, "total": 0, "position": 2}),
        ("turn.delta", {"text": 'a"\n\x01é', "channel": "answer"}),
        ("turn.completed", {"finish_reason": "stop"}),
    ]


async def test_a_watcher_may_begin_anywhere() -> None:
    live = make()
    await live.append(*(TurnDelta(text=str(i)) for i in range(10)))
    live.end(result(live))
    assert [frame["params"]["seq"] for frame in await frames(live, 8)] == [8, 9, 10]
    assert await frames(live, 11) == []


async def test_watchers_follow_a_turn_that_goes_on() -> None:
    live = make()
    seen: list[list[dict[str, Any]]] = []

    async def watch() -> None:
        seen.append(await frames(live))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        nursery.start_soon(watch)
        for i in range(5):
            await live.append(TurnDelta(text=str(i)))
            await wait_all_tasks_blocked()
        live.end(result(live))
    assert [[frame["params"]["seq"] for frame in one] for one in seen] == [[1, 2, 3, 4, 5]] * 2


async def test_a_lagging_owner_holds_the_turn_back() -> None:
    live = make()
    live.own()
    said = 0

    async def talk() -> None:
        nonlocal said
        for _ in range(100):
            await live.append(*(TurnDelta(text="x") for _ in range(64)))
            said += 64
        live.end(result(live))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk)
        await wait_all_tasks_blocked()
        assert 1024 <= said < 1024 + 128
        read = 0
        async for batch in live.watch(owner=True):
            read += batch.count(b"\n")
    assert read == said == 6400


async def test_a_watcher_that_is_not_the_owner_holds_nothing_back() -> None:
    live = make()
    async with trio.open_nursery() as nursery:
        watcher = live.watch()
        nursery.start_soon(watcher.__anext__)
        with trio.fail_after(5):
            await live.append(*(TurnDelta(text="x") for _ in range(5000)))
    await watcher.aclose()


async def test_the_owner_leaving_cancels_an_attended_turn_and_frees_it() -> None:
    live = make()
    live.own()
    live.disown()
    assert live.scope.cancel_called
    with trio.fail_after(5):
        await live.append(*(TurnDelta(text="x") for _ in range(5000)))


async def test_the_owner_leaving_a_detached_turn_changes_nothing() -> None:
    live = make(detached=True)
    live.own()
    live.disown()
    assert not live.scope.cancel_called


async def test_leaving_after_the_end_cancels_nothing() -> None:
    live = make()
    live.own()
    live.end(result(live))
    live.disown()
    assert not live.scope.cancel_called


async def test_a_lone_surrogate_does_not_break_the_stream() -> None:
    live = make()
    await live.append(TurnDelta(text="a\ud800b"))
    live.end(result(live))
    assert (await frames(live))[0]["params"]["text"] == "a?b"
