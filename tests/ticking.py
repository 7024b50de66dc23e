"""Stand-ins for the module `time` where ids and stored times are made."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final

_STEP_NS: Final = 2_000_000


class TickingClock:
    """Moves with every look, so that no two times are of one millisecond. Threads may share it."""

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


@dataclass(frozen=True)
class StandingClock:
    """Tells the same time at each look."""

    at_ns: int

    def time_ns(self) -> int:
        """Nanoseconds since 1970."""
        return self.at_ns

    def time(self) -> float:
        """Seconds since 1970."""
        return self.at_ns / 1e9
