"""The rate at which this machine's memory is read: what a token costs where all weights are read for it.

The daemon runs `python -m agentgw_daemon.workers.runtime.bandwidth`, which prints one JSON object:
`{"bytes_per_s": …, "threads": …}`. Threads copy blocks that no cache holds, and the best of short rounds counts:
another program's share in one of them says nothing of the machine. Bytes are counted once, as read; that each is
also written stands for the arithmetic beside the reading when a model computes. Imports the standard library only:
`memmove` gives up Python's lock, so that the threads copy at the same time.
"""

from __future__ import annotations

import ctypes
import json
import os
import threading
import time
from typing import Final

# A source and a target of this size for each thread: larger in all than the last cache of a laptop.
BLOCK_BYTES: Final = 48 << 20
# More threads than this read no faster from the memory of a laptop.
MAX_THREADS: Final = 2
ROUND_S: Final = 0.1
TOTAL_S: Final = 0.8


class _Copier(threading.Thread):
    """Copies its block over and over, from the start of a round to its end."""

    def __init__(self, barrier: threading.Barrier, total_s: float) -> None:
        super().__init__(daemon=True)
        self._barrier = barrier
        self._total_s = total_s
        self._source = ctypes.create_string_buffer(BLOCK_BYTES)
        self._target = ctypes.create_string_buffer(BLOCK_BYTES)
        # Pages that were never written are all the same one.
        ctypes.memset(self._source, 1, BLOCK_BYTES)
        ctypes.memset(self._target, 2, BLOCK_BYTES)
        # Rate of each round.
        self.rates: list[float] = []

    def run(self) -> None:
        self._barrier.wait()
        ends_at = time.perf_counter() + self._total_s
        # One round at least, however busy the machine is.
        while not self.rates or time.perf_counter() < ends_at:
            started = now = time.perf_counter()
            copied = 0
            while not copied or now < started + ROUND_S:
                ctypes.memmove(self._target, self._source, BLOCK_BYTES)
                copied += BLOCK_BYTES
                now = time.perf_counter()
            self.rates.append(copied / (now - started))


def measure(total_s: float = TOTAL_S) -> dict[str, int]:
    """The best rate of all threads together, and how many they were."""
    threads = min(MAX_THREADS, _usable_cpus())
    barrier = threading.Barrier(threads)
    copiers = [_Copier(barrier, total_s) for _ in range(threads)]
    for copier in copiers:
        copier.start()
    for copier in copiers:
        copier.join()
    together = [sum(rates) for rates in zip(*(copier.rates for copier in copiers), strict=False)]
    return {"bytes_per_s": round(max(together)), "threads": threads}


def _usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    print(json.dumps(measure()))
