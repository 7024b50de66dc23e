"""Measuring the memory in a child process: the figure, and children that give none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import trio

from agentgw_daemon.models.offer.memory_rate import MeasuredBandwidth, MemoryRate

pytestmark = pytest.mark.anyio


def printing(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"print({text!r})")


async def test_the_real_program_measures_this_machine() -> None:
    found = await MemoryRate(os.environ).get()
    assert found is not None
    assert found.bytes_per_s > 10_000_000
    assert 1 <= found.threads <= 2


@pytest.mark.parametrize(
    "text",
    ["", "fast", "[]", "null", '{"bytes_per_s": "1", "threads": 2}', '{"bytes_per_s": 0, "threads": 2}', "[" * 10_000],
    ids=["nothing", "words", "list", "null", "text", "zero", "deep"],
)
async def test_an_answer_that_is_none_gives_no_figure(text: str) -> None:
    assert await MemoryRate(os.environ, program=printing(text)).get() is None


async def test_a_child_that_hangs_is_ended_and_one_that_is_missing_is_no_error() -> None:
    hanging = (sys.executable, "-c", "import time; time.sleep(3600)")
    assert await MemoryRate(os.environ, program=hanging, timeout_s=0.01).get() is None
    assert await MemoryRate(os.environ, program=("/nosuch",)).get() is None


async def test_the_best_figure_is_kept(tmp_path: Path) -> None:
    figure = tmp_path / "figure"
    rate = MemoryRate(os.environ, program=("/bin/cat", str(figure)))
    said = []
    for text in ('{"bytes_per_s": 5, "threads": 2}', '{"bytes_per_s": 3, "threads": 2}', "broken",
                 '{"bytes_per_s": 7, "threads": 2}'):  # fmt: skip
        figure.write_text(text)
        said.append(await rate.get())
    assert said == [MeasuredBandwidth(bytes_per_s=figure_kept, threads=2) for figure_kept in (5, 5, 5, 7)]


async def test_two_at_once_measure_one_after_the_other(tmp_path: Path) -> None:
    # The second child fails if it finds the first one's mark.
    mark = tmp_path / "running"
    script = f'mkdir {mark} || exit; echo \'{{"bytes_per_s": 5, "threads": 1}}\'; rmdir {mark}'
    rate = MemoryRate(os.environ, program=("/bin/sh", "-c", script))
    found = []

    async def measure() -> None:
        found.append(await MemoryRate.get(rate))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(measure)
        nursery.start_soon(measure)
    assert found == [MeasuredBandwidth(bytes_per_s=5, threads=1)] * 2
