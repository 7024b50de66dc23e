"""Limits of time, which hold for a machine that has nothing else to do."""

from __future__ import annotations

import time
from typing import Final

# Long enough for the system to give the processor to others in between.
_SPIN_S: Final = 0.1


def took_less(began: float, limit_s: float) -> bool:
    """Tells whether less time passed since `began` (`time.monotonic`) than the limit."""
    return is_less(time.monotonic() - began, limit_s)


def is_less(took_s: float, limit_s: float) -> bool:
    """Tells whether a time that was measured just now is less than the limit.

    A busy machine is given as much more as it is slower; where the limit is passed, it is asked how much that is.
    """
    return took_s < limit_s or took_s < limit_s * _slowness()


def _slowness() -> float:
    """Time that passes for each second of computing; 1 where nobody else computes."""
    began, computed = time.monotonic(), time.thread_time()
    while time.thread_time() - computed < _SPIN_S:
        pass
    return (time.monotonic() - began) / _SPIN_S
