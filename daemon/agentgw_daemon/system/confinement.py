"""Time and memory limits around code that a stranger wrote: what a chat template may cost. Main thread only.

Two clocks, because Python hears a signal only between two instructions. SIGALRM raises in ordinary loops. One long
instruction (sorting, multiplying, searching something huge) never hears it, so SIGPROF, which Python does not handle,
ends the process after two more seconds of processor time: the supervisor then says so and starts another worker.
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, TypeVar

T = TypeVar("T")

# Raised again this often, for code that catches everything.
_REPEAT_S: Final = 0.05
_GRACE_S: Final = 2.0


class TimeExceeded(BaseException):
    """The time is over. Not an Exception, so that the code in question is less likely to catch it."""


def confine(work: Callable[[], T], *, time_s: float, memory_bytes: int) -> T:
    """Returns what `work` does, if it takes at most `time_s` (TimeExceeded) and `memory_bytes` more than now
    (MemoryError).

    The memory limit is the address space's; macOS has none, there only time is limited. Other threads share it.
    """
    over = False

    def expire(_signal: int, _frame: FrameType | None) -> None:
        if not over:
            raise TimeExceeded

    previous = signal.signal(signal.SIGALRM, expire)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    try:
        _limit_memory(memory_bytes, limits)
        signal.setitimer(signal.ITIMER_PROF, time_s + _GRACE_S)
        signal.setitimer(signal.ITIMER_REAL, time_s, _REPEAT_S)
        try:
            return work()
        finally:
            over = True
    finally:
        # Again, for an alarm in the very moment the inner block was left; the next one is _REPEAT_S away.
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGALRM, previous)


def _limit_memory(more_bytes: int, limits: tuple[int, int]) -> None:
    if sys.platform == "darwin":
        return
    pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    soft = pages * resource.getpagesize() + more_bytes
    for limit in limits:
        if limit != resource.RLIM_INFINITY:
            soft = min(soft, limit)
    resource.setrlimit(resource.RLIMIT_AS, (soft, limits[1]))
