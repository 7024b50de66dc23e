"""A time limit of a whole command. The alarm covers what happens before the daemon is asked: reading, connecting."""

from __future__ import annotations

import signal
import time

from agentgw.protocol.errors import Timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any


class _TimeIsUp(BaseException):
    """The end of the time limit. No Exception: what connects must not take it for an answer that did not come."""


class TimeLimit:
    """Counts from when it is made. A context manager that ends its block by Timeout; None is no limit."""

    def __init__(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._started = time.monotonic()
        self._over = False
        self._before: Any = None

    def rest_s(self) -> float | None:
        """The rest of the time limit, at least a moment. None without a limit."""
        if self._timeout_s is None:
            return None
        return max(0.001, self._started + self._timeout_s - time.monotonic())

    def __enter__(self) -> TimeLimit:
        if (rest := self.rest_s()) is not None:
            self._before = signal.signal(signal.SIGALRM, self._expire)
            signal.setitimer(signal.ITIMER_REAL, rest)
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # First: an alarm in this very moment must not end anything else.
        self._over = True
        if self._timeout_s is None:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)
        if isinstance(error, _TimeIsUp):
            raise Timeout(f"no answer within {self._timeout_s:g} seconds", timeout_s=self._timeout_s) from None

    def _expire(self, _signal: int, _frame: FrameType | None) -> None:
        if not self._over:
            raise _TimeIsUp
