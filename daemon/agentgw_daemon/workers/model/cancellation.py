"""Requests that must end: the one thing that the reader thread and the main thread both touch."""

from __future__ import annotations

import threading
from typing import Protocol


class Flag(Protocol):
    """The flag that stops the batch which is being computed; `llama.AbortFlag`."""

    def set(self) -> object:
        """Stop the batch that runs now, or the next one."""

    def clear(self) -> object:
        """Let batches run again."""


class Cancellations:
    """The reader thread tells, at once; the main thread asks between batches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: set[int] = set()
        self._cancelled: set[int] = set()
        self._running: tuple[int, Flag] | None = None

    def expect(self, request_id: int) -> None:
        """A request arrived; only from here on can it be cancelled."""
        with self._lock:
            self._known.add(request_id)

    def cancel(self, request_id: int) -> None:
        """End it, in the middle of a batch if it runs; nothing if it is over."""
        with self._lock:
            if request_id in self._known:
                self._cancelled.add(request_id)
                if self._running and self._running[0] == request_id:
                    self._running[1].set()

    def begin(self, request_id: int, abort: Flag) -> None:
        """A batch runs that it may stop, from now to `rest` or `end`."""
        with self._lock:
            self._running = (request_id, abort)
            if request_id in self._cancelled:
                abort.set()

    def rest(self) -> None:
        """The batch is over: a cancel finds nothing to stop until the next `begin`."""
        with self._lock:
            if self._running:
                self._running[1].clear()
                self._running = None

    def end(self, request_id: int) -> None:
        """Notes that a request has been answered."""
        with self._lock:
            if self._running and self._running[0] == request_id:
                self._running[1].clear()
                self._running = None
            self._known.discard(request_id)
            self._cancelled.discard(request_id)

    def __contains__(self, request_id: int) -> bool:
        return request_id in self._cancelled
