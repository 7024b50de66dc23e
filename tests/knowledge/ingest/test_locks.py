"""Room for so much, and work beside others or alone."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from agentgw_daemon.knowledge.ingest.locks import ByteBudget, ReadWriteLock

pytestmark = pytest.mark.anyio


async def test_room_is_given_in_order_and_a_large_one_is_not_overtaken() -> None:
    room, entered = ByteBudget(10), []

    async def take(amount: int) -> None:
        await room.take(amount)
        entered.append(amount)

    async with trio.open_nursery() as nursery:
        for amount in (6, 7, 1):
            nursery.start_soon(take, amount)
            await wait_all_tasks_blocked()
        assert entered == [6]
        room.give_back(6)
        await wait_all_tasks_blocked()
        assert entered == [6, 7, 1]


async def test_what_is_larger_than_the_room_gets_in_when_it_is_empty() -> None:
    room = ByteBudget(10)
    await room.take(3)
    with trio.move_on_after(0) as scope:
        await room.take(1000)
    assert scope.cancelled_caught
    room.give_back(3)
    await room.take(1000)


async def test_alone_is_after_those_inside_and_before_those_who_come_later() -> None:
    gate, said = ReadWriteLock(), []
    leave = trio.Event()

    async def beside(name: str) -> None:
        async with gate.beside_others():
            said.append(f"{name} in")
            await leave.wait()
        said.append(f"{name} out")

    async def alone() -> None:
        async with gate.alone():
            said.append("alone in")
            await trio.lowlevel.checkpoint()
            said.append("alone out")

    async with trio.open_nursery() as nursery:
        for work in (lambda: beside("a"), lambda: beside("b"), alone, lambda: beside("c")):
            nursery.start_soon(work)
            await wait_all_tasks_blocked()
        assert said == ["a in", "b in"]
        leave.set()
    assert said[:2] == ["a in", "b in"]
    assert sorted(said[2:4]) == ["a out", "b out"]
    assert said[4:] == ["alone in", "alone out", "c in", "c out"]


async def test_who_gives_up_waiting_to_be_alone_holds_nobody_up() -> None:
    gate = ReadWriteLock()
    async with gate.beside_others():
        with trio.move_on_after(0):
            async with gate.alone():
                raise AssertionError
        async with gate.beside_others():
            pass
