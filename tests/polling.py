"""Waiting in a test for what happens elsewhere."""

from __future__ import annotations

import trio


async def pause() -> None:
    """Waits between two looks. A bare checkpoint in a loop keeps the interpreter from the threads that are
    waited for.
    """
    await trio.sleep(0.002)
