"""Telling who keeps an index that what is searched has changed."""

from __future__ import annotations

import trio


class Changes:
    """Take `next` first, then look at the database, then wait: no change is missed."""

    def __init__(self) -> None:
        self._next = trio.Event()
        # Grows when a backup takes the database's place: generations of before mean nothing then.
        self.replaced = 0

    @property
    def next(self) -> trio.Event:
        """Set when something is next written or removed."""
        return self._next

    def tell_replaced(self) -> None:
        """Another database took this one's place. Call on trio's thread."""
        self.replaced += 1
        self.tell()

    def tell(self) -> None:
        """Tells that something was committed. Call on trio's thread."""
        self._next.set()
        self._next = trio.Event()
