"""Limits on what goes on at once: room for so much, and work beside others or alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


class ByteBudget:
    """Room for so much at a time, first come first served. What is larger than all of it gets in alone.

    Full means that whoever brings more waits, and so the one before him: nothing piles up.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._turn = trio.Lock()
        self._given_back = trio.lowlevel.ParkingLot()

    async def take(self, amount: int) -> None:
        """Wait until there is room, and take it."""
        async with self._turn:
            while self._taken and self._taken + amount > self._size:
                await self._given_back.park()
            self._taken += amount

    def give_back(self, amount: int) -> None:
        """Let the next one in."""
        self._taken -= amount
        self._given_back.unpark_all()


class ReadWriteLock:
    """Work beside others, or alone. Who wants to be alone is waited for by all who come later, so it is not starved."""

    def __init__(self) -> None:
        self._inside = 0
        self._turn = trio.Lock()
        self._left = trio.lowlevel.ParkingLot()

    @asynccontextmanager
    async def beside_others(self) -> AsyncIterator[None]:
        """Works as one of many."""
        async with self._turn:
            self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            self._left.unpark_all()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Works as the only one. Must not be asked for by one of the many."""
        async with self._turn:
            while self._inside:
                await self._left.park()
            yield
