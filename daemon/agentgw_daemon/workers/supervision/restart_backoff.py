"""Pause before a worker that died is started again. Pure: the caller brings the time."""

from __future__ import annotations

from collections import deque
from typing import Final

MAX_BACKOFF_S: Final = 30.0
# So many deaths in a row within the window, and nobody is made to wait for another one.
DEGRADED_DEATHS: Final = 5
DEGRADED_WINDOW_S: Final = 60.0


class RestartBackoff:
    """The deaths of one model's workers since a request last went well."""

    def __init__(self, first_backoff_s: float) -> None:
        self._first_backoff_s = first_backoff_s
        self._in_a_row = 0
        self._times: deque[float] = deque(maxlen=DEGRADED_DEATHS)

    def record(self, now: float) -> None:
        """One more."""
        self._in_a_row += 1
        self._times.append(now)

    def forget(self) -> None:
        """A request went well."""
        self._in_a_row = 0
        self._times.clear()

    def start_at(self) -> float:
        """The earliest time for another start: 0.5, 1, 2 … 30 s after the last death."""
        if not self._times:
            return 0.0
        backoff_s: float = self._first_backoff_s * 2 ** min(self._in_a_row - 1, 30)
        return self._times[-1] + min(MAX_BACKOFF_S, backoff_s)

    def degraded_until(self, now: float) -> float | None:
        """The time before which starting is pointless; None when it may be tried."""
        if len(self._times) < DEGRADED_DEATHS:
            return None
        until = max(self._times[0] + DEGRADED_WINDOW_S, self.start_at())
        return until if self._times[-1] - self._times[0] < DEGRADED_WINDOW_S and now < until else None
