"""A clock for ids and stored times that moves with every look, so that no two of them are of one millisecond."""

from __future__ import annotations

import threading
import time
from typing import Final

_STEP_NS: Final = 2_000_000


class TickingClock:
    """Stands in for the module `time` where ids and times are made. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_ns = time.time_ns()

    def time_ns(self) -> int:
        """Nanoseconds since 1970."""
        with self._lock:
            self._at_ns += _STEP_NS
            return self._at_ns

    def time(self) -> float:
        """Seconds since 1970."""
        return self.time_ns() / 1e9
