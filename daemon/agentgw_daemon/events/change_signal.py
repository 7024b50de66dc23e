"""Waking up those who look at something again once it has changed."""

from __future__ import annotations

import trio


class ChangeSignal:
    """Take `next` first, then look, then wait: no change is missed."""

    def __init__(self) -> None:
        self._next = trio.Event()

    @property
    def next(self) -> trio.Event:
        """Event that is set at the next change."""
        return self._next

    def tell(self) -> None:
        """Tells that something has changed. Call on trio's thread."""
        self._next.set()
        self._next = trio.Event()
