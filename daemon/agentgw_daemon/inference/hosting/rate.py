"""Rate at which a worker writes: over the last seconds while it does, else that of its last answer."""

from __future__ import annotations

import collections
import math
from typing import Final

WINDOW_S: Final = 3.0
# Deltas that come this close together are counted together: the window has so few parts however fast they come.
_PART_S: Final = 0.25


class Rate:
    """Counts texts as they pass. Times are those of one clock, in seconds."""

    def __init__(self) -> None:
        self._parts: Final[collections.deque[tuple[float, int]]] = collections.deque(maxlen=int(WINDOW_S / _PART_S) + 1)
        self._since = -math.inf
        self._count = 0
        self._last = 0.0

    def add(self, texts: int, now: float) -> None:
        """Counts so many more texts."""
        if now - self._since >= _PART_S:
            self._parts.append((self._since, self._count))
            self._since, self._count = now, 0
        self._count += texts

    def end(self, tokens: int, seconds: float) -> None:
        """An answer ended that had so many in all, in so much time of decoding."""
        if seconds > 0:
            self._last = tokens / seconds

    def now(self, now: float) -> float:
        """A second, of all streams together, in the last few; 0 while only prompts are read."""
        parts = [
            (since, count) for since, count in (*self._parts, (self._since, self._count)) if now - since < WINDOW_S
        ]
        if not parts:
            return 0.0
        return sum(count for _, count in parts) / max(now - parts[0][0], _PART_S)

    @property
    def last(self) -> float:
        """A second, of the last answer; 0 before there was one."""
        return self._last
