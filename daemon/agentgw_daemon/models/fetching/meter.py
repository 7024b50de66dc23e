"""Progress of a pull, told to whoever watches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import trio

Progress = Callable[[int, int], Awaitable[None]]
"""Called with bytes done and bytes in all; never goes back."""

# A watcher hears of a change when one of the two is reached: enough for a smooth bar, little for the socket.
INTERVAL_S: Final = 0.1
STEP: Final = 0.01


class DownloadMeter:
    """Bytes done of bytes in all. Never moves backwards, even when a download has to start again.

    One task counts, any number watch; a slow watcher misses steps and holds nobody up.
    """

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self.done_bytes = 0
        self._changed = trio.Event()
        self._closed = False

    def set(self, done_bytes: int) -> None:
        """The count now. What lies behind the highest count so far is not shown."""
        done_bytes = min(done_bytes, self.total_bytes)
        if done_bytes > self.done_bytes:
            self.done_bytes = done_bytes
            self._wake()

    def close(self) -> None:
        """Ends the counts: watchers hear the last one and end."""
        self._closed = True
        self._wake()

    async def watch(self, progress: Progress) -> None:
        """Tells `progress` every change, throttled, until the meter is closed; the last count always."""
        told = -1
        while not self._closed or self.done_bytes != told:
            told, told_at = self.done_bytes, trio.current_time()
            await progress(told, self.total_bytes)
            while not self._closed and self.done_bytes == told:
                await self._changed.wait()
            with trio.move_on_at(told_at + INTERVAL_S):
                while not self._closed and self.done_bytes - told < self.total_bytes * STEP:
                    await self._changed.wait()

    def after(self, passed_bytes: int) -> FileMeter:
        """Counts for a file that begins behind so many bytes of what this one counts."""
        return FileMeter(self, passed_bytes)

    def _wake(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()


class FileMeter:
    """Counts of one of the files that a `DownloadMeter` is of."""

    def __init__(self, whole: DownloadMeter, passed_bytes: int) -> None:
        self._whole = whole
        self._passed_bytes = passed_bytes

    def set(self, done_bytes: int) -> None:
        """The count of this file."""
        self._whole.set(self._passed_bytes + done_bytes)
