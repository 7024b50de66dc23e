from __future__ import annotations

import trio
import trio.testing

from agentgw_daemon.system.ticks import until_tick_s


def test_those_who_began_at_other_times_wake_together() -> None:
    woken: list[float] = []

    async def look(after_s: float) -> None:
        await trio.sleep(after_s)
        for _ in range(3):
            await trio.sleep(until_tick_s(5.0))
            woken.append(round(trio.current_time() % 5.0, 6) % 5.0)

    async def all_of_them() -> None:
        async with trio.open_nursery() as nursery:
            for after_s in (0.3, 1.7, 4.9):
                nursery.start_soon(look, after_s)

    trio.run(all_of_them, clock=trio.testing.MockClock(autojump_threshold=0))
    assert woken == [0.0] * 9


def test_a_hair_before_a_tick_the_next_one_is_meant() -> None:
    async def wait() -> float:
        await trio.sleep(5.0 - trio.current_time() % 5.0 - 0.001)
        return until_tick_s(5.0)

    assert 5.0 < trio.run(wait, clock=trio.testing.MockClock(autojump_threshold=0)) < 5.01
