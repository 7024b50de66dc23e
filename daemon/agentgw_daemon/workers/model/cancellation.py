"""Requests that must end, or all stand still: what the reader thread and the main thread both touch."""

from __future__ import annotations

import threading
from typing import Protocol


class Flag(Protocol):
    """The flag that stops the batch which is being computed; `sampling.context.AbortFlag`."""

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
        self._running: tuple[int | None, Flag] | None = None
        self._held = False
        self._makes_way = False  # the batch that runs is stopped for a hold
        self._background = False  # it is stopped for whoever comes
        self._urgent: set[int] = set()  # of people, and the main thread does not know of them yet

    def expect(self, request_id: int, *, urgent: bool = False) -> None:
        """A request arrived; only from here on can it be cancelled. An `urgent` one ends a batch in the background."""
        with self._lock:
            self._known.add(request_id)
            if urgent:
                self._urgent.add(request_id)
                if self._running and self._background:
                    self._running[1].set()

    def take_up(self, request_id: int) -> None:
        """The main thread knows of a request, so that the next batch is its own if it can go on."""
        with self._lock:
            self._urgent.discard(request_id)

    def cancel(self, request_id: int) -> None:
        """End the request, in the middle of a batch if it runs; does nothing if it is over."""
        with self._lock:
            if request_id in self._known:
                self._cancelled.add(request_id)
                if self._running and self._running[0] == request_id:
                    self._running[1].set()

    @property
    def held(self) -> bool:
        """Tells whether nothing may be computed."""
        return self._held

    def hold(self) -> None:
        """Have nothing computed until `release`; the batch that runs is stopped if it makes way."""
        with self._lock:
            self._held = True
            if self._running and self._makes_way:
                self._running[1].set()

    def release(self) -> None:
        """Let everything go on."""
        with self._lock:
            self._held = False

    def begin(self, request_id: int | None, abort: Flag, *, makes_way: bool = False, background: bool = False) -> None:
        """A batch runs that its request's cancel may stop, from now to `rest` or `end`; so may a hold if it
        `makes_way`, and an urgent request if it is in the `background`.

        Without a request no cancel stops it.
        """
        with self._lock:
            self._running, self._makes_way, self._background = (request_id, abort), makes_way, background
            if request_id in self._cancelled or (makes_way and self._held) or (background and self._urgent):
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
            for noted in (self._known, self._cancelled, self._urgent):
                noted.discard(request_id)

    def __contains__(self, request_id: int) -> bool:
        return request_id in self._cancelled
