"""Threads for blocking file work, a bounded number of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import trio
from trio.lowlevel import RunVar

T = TypeVar("T")

# A disk serves a few readers at once; a network file system that hangs must not eat the threads of everything else.
MAX_FILE_THREADS: Final = 4
_LIMITER: Final = RunVar[trio.CapacityLimiter]("agentgw_tool_files")


async def in_file_thread(work: Callable[[], T], *, abandon: bool = False) -> T:
    """Returns what `work` does, from one of MAX_FILE_THREADS threads; waits for one when all are busy.

    A cancelled call waits for `work`, which must be short or look at `trio.from_thread.check_cancelled`. With
    `abandon` it does not: for work that only reads and whose result nobody has to close. A file system that hangs
    then holds a thread, not the turn.
    """
    try:
        limiter = _LIMITER.get()
    except LookupError:
        limiter = trio.CapacityLimiter(MAX_FILE_THREADS)
        _LIMITER.set(limiter)
    return await trio.to_thread.run_sync(work, limiter=limiter, abandon_on_cancel=abandon)
