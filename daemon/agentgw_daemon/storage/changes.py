"""Telling who keeps an index that what is searched has changed."""

from __future__ import annotations

import trio


class Changes:
    """Take `next` first, then look at the database, then wait: no change is missed."""

    def __init__(self) -> None:
        self._next = trio.Event()

    @property
    def next(self) -> trio.Event:
        """Set when something is next written or removed."""
        return self._next

    def tell(self) -> None:
        """Something was committed. Call on trio's thread."""
        self._next.set()
        self._next = trio.Event()
