"""The log of a running turn: numbers without holes, owners that hold back, watchers that do not."""

from __future__ import annotations

from functools import partial

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from agentgw.protocol.events import TurnCompleted, TurnDelta, TurnProgress, TurnStarted
from agentgw_daemon.events.turn_log import TurnBatch, TurnLog
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.anyio


async def numbers(log: TurnLog, from_seq: int = 1) -> list[int]:
    return [seq + place async for seq, batch in log.watch(from_seq) for place in range(len(batch))]


async def test_every_event_has_the_next_number() -> None:
    log = TurnLog()
    started, waits = TurnStarted(skill="k", model="m"), TurnProgress(phase="queued", position=2)
    said, completed = TurnDelta(text="a"), TurnCompleted(finish_reason="stop")
    await log.append(started, waits)
    await log.append(said, completed)
    log.close()
    assert [batch async for batch in log.watch()] == [(1, [started, waits, said, completed])]
    assert log.last_seq == 4


async def test_a_watcher_may_begin_anywhere() -> None:
    log = TurnLog()
    await log.append(*(TurnDelta(text=str(i)) for i in range(10)))
    log.close()
    assert await numbers(log, 8) == [8, 9, 10]
    assert await numbers(log, 11) == []


async def test_watchers_follow_a_turn_that_goes_on() -> None:
    log = TurnLog()
    seen: list[list[int]] = []

    async def watch() -> None:
        seen.append(await numbers(log))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        nursery.start_soon(watch)
        for i in range(5):
            await log.append(TurnDelta(text=str(i)))
            await wait_all_tasks_blocked()
        log.close()
    assert seen == [[1, 2, 3, 4, 5]] * 2


async def test_a_lagging_owner_holds_the_turn_back() -> None:
    log = TurnLog()
    log.own()
    said = 0

    async def talk() -> None:
        nonlocal said
        for _ in range(100):
            await log.append(*(TurnDelta(text="x") for _ in range(64)))
            said += 64
        log.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk)
        await wait_all_tasks_blocked()
        assert 1024 <= said < 1024 + 128
        read = 0
        async for _, batch in log.watch(owner=True):
            read += len(batch)
    assert read == said == 6400


async def test_a_watcher_that_is_not_the_owner_holds_nothing_back() -> None:
    log = TurnLog()
    async with trio.open_nursery() as nursery:
        watcher = log.watch()
        nursery.start_soon(watcher.__anext__)
        with trio.fail_after(PATIENCE_S):
            await log.append(*(TurnDelta(text="x") for _ in range(5000)))
    await watcher.aclose()


@pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})], ids=["jumping"]
)
async def test_many_watchers_are_told_less_often_and_miss_nothing() -> None:
    log = TurnLog()
    batches: list[list[int]] = []

    async def watch() -> None:
        batches.append([len(batch) async for _, batch in log.watch()])

    async with trio.open_nursery() as nursery:
        for _ in range(108):
            nursery.start_soon(watch)
        for _ in range(100):
            await log.append(TurnDelta(text="a"))
            await trio.sleep(0.01)
        began = trio.current_time()
        log.close()
    # The end is told at once.
    assert trio.current_time() == began
    assert {sum(sizes) for sizes in batches} == {100}
    # A second of words, told every fifth of it once all of them watch.
    assert max(len(sizes) for sizes in batches) <= 8


@pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})], ids=["jumping"]
)
async def test_many_watchers_are_told_together_whoever_comes_late_or_leaves() -> None:
    """They share the batch itself, so that bytes which are made of it for one of them are there for all."""
    log = TurnLog()
    told: dict[int, int] = {}
    whole: list[list[str]] = []

    async def watch(*, slow: bool = False) -> None:
        texts: list[str] = []
        async for seq, batch in log.watch():
            told.setdefault(id(batch), seq)
            kept.append(batch)
            texts += [event.text for event in batch if isinstance(event, TurnDelta)]
            if slow:
                await trio.sleep(0.35)
        whole.append(texts)

    kept: list[TurnBatch] = []
    leaving = [trio.CancelScope() for _ in range(40)]

    async def leave(scope: trio.CancelScope) -> None:
        with scope:
            await watch()

    async with trio.open_nursery() as nursery:
        for scope in leaving:
            nursery.start_soon(leave, scope)
        for _ in range(60):
            nursery.start_soon(watch)
        nursery.start_soon(partial(watch, slow=True))
        for number in range(200):
            await log.append(TurnDelta(text=str(number)))
            await trio.sleep(0.01)
            if number == 90:
                # One of them keeps the time of all.
                for scope in leaving:
                    scope.cancel()
                for _ in range(20):
                    nursery.start_soon(watch)
        log.close()
    assert whole == [[str(number) for number in range(200)]] * 81
    # A few are told other batches: those who began late, and who is slow.
    assert len(told) < len(kept) / 10


async def test_the_owner_and_a_few_others_are_told_each_word_as_it_comes() -> None:
    log = TurnLog()
    batches: list[int] = []

    async def watch(*, owner: bool) -> None:
        async for _, batch in log.watch(owner=owner):
            batches.append(len(batch))

    async with trio.open_nursery() as nursery:
        for number in range(9):
            nursery.start_soon(partial(watch, owner=number == 0))
        for _ in range(3):
            await log.append(TurnDelta(text="a"))
            await wait_all_tasks_blocked()
        log.close()
    assert batches == [1] * 27
