"""Waiting in a test for what happens elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

from tests.patience import PATIENCE_S


async def pause() -> None:
    """Waits between two looks. A bare checkpoint in a loop keeps the interpreter from the threads that are
    waited for.
    """
    await trio.sleep(0.002)


async def until(condition: Callable[[], object]) -> None:
    """Returns once the condition holds; a test in which it never does fails. A virtual clock makes it no shorter."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_at, "what is waited for does not come"
        await pause()
