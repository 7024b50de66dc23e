"""How far a pull is, told to whoever watches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import trio

Progress = Callable[[int, int], Awaitable[None]]
"""Called with bytes done and bytes in all; never goes back."""

# A watcher hears of it when one of the two is reached: enough for a smooth bar, little for the socket.
INTERVAL_S: Final = 0.1
STEP: Final = 0.01


class Meter:
    """Bytes done of bytes in all. Never moves backwards, even when a download has to start again.

    One task counts, any number watch; a slow watcher misses steps and holds nobody up.
    """

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self.done_bytes = 0
        self._told_bytes = 0
        self._told_at = -1.0
        self._changed = trio.Event()
        self._closed = False

    def set(self, done_bytes: int) -> None:
        """The count now. What lies behind the highest count so far is not shown."""
        self.done_bytes = max(self.done_bytes, min(done_bytes, self.total_bytes))
        step = self.done_bytes - self._told_bytes
        if step >= self.total_bytes * STEP or (step and trio.current_time() - self._told_at >= INTERVAL_S):
            self._tell()

    def close(self) -> None:
        """No more counts: watchers hear the last one and end."""
        self._closed = True
        self._tell()

    async def watch(self, progress: Progress) -> None:
        """Tells `progress` every change until the meter is closed."""
        told = -1
        while True:
            changed = self._changed
            if self.done_bytes != told:
                told = self.done_bytes
                await progress(told, self.total_bytes)
            if self._closed and self.done_bytes == told:
                return
            await changed.wait()

    def _tell(self) -> None:
        self._told_bytes, self._told_at = self.done_bytes, trio.current_time()
        self._changed.set()
        self._changed = trio.Event()
