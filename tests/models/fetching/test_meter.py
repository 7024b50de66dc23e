"""Progress: monotonic, throttled, complete at the end."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from agentgw_daemon.models.fetching.meter import INTERVAL_S, DownloadMeter

pytestmark = pytest.mark.anyio


async def counts(meter: DownloadMeter, seen: list[int]) -> None:
    async def progress(done_bytes: int, total_bytes: int) -> None:
        assert total_bytes == meter.total_bytes
        seen.append(done_bytes)

    await meter.watch(progress)


async def test_a_watcher_hears_the_start_each_step_and_the_end() -> None:
    meter, seen = DownloadMeter(1000), []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(counts, meter, seen)
        for done in (0, 10, 500, 1000):
            meter.set(done)
            await trio.testing.wait_all_tasks_blocked()
        meter.close()
    assert seen == [0, 10, 500, 1000]


async def test_counts_never_go_back_nor_over_the_total() -> None:
    meter, seen = DownloadMeter(1000), []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(counts, meter, seen)
        for done in (500, 0, 300, 700, 5000):
            meter.set(done)
            await trio.testing.wait_all_tasks_blocked()
        meter.close()
    assert seen == [500, 700, 1000]


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})])
async def test_small_steps_are_told_once_in_an_interval() -> None:
    meter, seen = DownloadMeter(1_000_000), []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(counts, meter, seen)
        for done in range(1, 101):
            meter.set(done)
            await trio.sleep(INTERVAL_S / 10)
        meter.close()
    assert 9 <= len(seen) <= 13
    assert seen[-1] == 100


async def test_a_slow_watcher_misses_steps_and_holds_nobody_up() -> None:
    meter, seen = DownloadMeter(1000), []
    slow = trio.Event()

    async def progress(done_bytes: int, total_bytes: int) -> None:
        seen.append(done_bytes)
        await slow.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(meter.watch, progress)
        await trio.testing.wait_all_tasks_blocked()
        for done in (100, 200, 300):
            meter.set(done)
        meter.close()
        slow.set()
    assert seen == [0, 300]


async def test_a_watcher_of_a_closed_meter_ends() -> None:
    meter, seen = DownloadMeter(10), []
    meter.set(4)
    meter.close()
    await counts(meter, seen)
    assert seen == [4]
