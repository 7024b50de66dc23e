"""Shared moments for those who look at something every few seconds: an idle machine wakes once for all of them."""

from __future__ import annotations

from typing import Final

import trio

# Of an interval: rounding may end a sleep a hair before its tick, which must not give two looks at once.
_SHORTEST: Final = 0.01


def until_tick_s(interval_s: float) -> float:
    """Seconds from now to the next whole multiple of the interval on trio's clock, never next to none."""
    wait_s = interval_s - trio.current_time() % interval_s
    return wait_s if wait_s > _SHORTEST * interval_s else wait_s + interval_s
