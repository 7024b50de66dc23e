"""Waking up those who look again once something has changed."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from agentgw_daemon.events.change_signal import ChangeSignal

pytestmark = pytest.mark.anyio


async def test_a_change_between_the_look_and_the_wait_is_not_missed() -> None:
    signal = ChangeSignal()
    before = signal.next
    signal.tell()
    await before.wait()
    assert not signal.next.is_set()


async def test_all_who_wait_are_woken() -> None:
    signal, woken = ChangeSignal(), []

    async def wait(name: str) -> None:
        await signal.next.wait()
        woken.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, "a")
        nursery.start_soon(wait, "b")
        await trio.testing.wait_all_tasks_blocked()
        assert not woken
        signal.tell()
    assert sorted(woken) == ["a", "b"]
