"""Ends a daemon that nobody needs, where the configuration asks for it: the next command starts another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

# Looked at so often while it lasts; only a daemon that is to end has this loop.
_LOOKS: Final = 4
_SHORTEST_S: Final = 0.01


async def end_when_idle(
    idle_s: float, *, activity: Callable[[], int], is_needed: Callable[[], bool], drain: Callable[[str], None]
) -> None:
    """Call `drain` once nobody has asked for anything and nothing was needed for `idle_s`.

    `activity` is a number that changes when somebody comes, so that nobody is missed between two looks. Returns at once
    when `idle_s` is 0.
    """
    if not idle_s:
        return
    since, seen = trio.current_time(), activity()
    while True:
        await trio.sleep(max(idle_s / _LOOKS, _SHORTEST_S))
        now = activity()
        if now != seen or is_needed():
            since, seen = trio.current_time(), now
        elif trio.current_time() - since >= idle_s:
            drain(f"nobody needed it for {idle_s:g} s")
            return
