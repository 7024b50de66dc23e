"""The two event loops by the few things that the asynchronous client needs of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Generic, Protocol, TypeVar

from agentgw.protocol.errors import Timeout

T = TypeVar("T")


class Loop(Protocol):
    """An event loop."""

    async def wait_readable(self, descriptor: int) -> None:
        """Returns when the descriptor can be read."""

    async def wait_writable(self, descriptor: int) -> None:
        """Returns when the descriptor can be written."""

    async def in_thread(self, work: Callable[[], T], undo: Callable[[T], None]) -> T:
        """Returns what `work` does in a thread. A cancelled call does not wait: `undo` gets what comes too late."""

    def limited(self, timeout_s: float | None, told_s: float | None = None) -> AbstractAsyncContextManager[None]:
        """Ends the block after so long and raises Timeout, which tells `told_s`; None: no limit."""


class Handover(Generic[T]):
    """A value made in a thread, taken by its caller or undone when the caller has left."""

    def __init__(self, work: Callable[[], T], undo: Callable[[T], None]) -> None:
        self._work = work
        self._undo = undo
        self._lock = threading.Lock()
        self._abandoned = False
        self._made: list[T] = []

    def make(self) -> T:
        """Makes the value; for the thread."""
        made = self._work()
        with self._lock:
            if not self._abandoned:
                self._made.append(made)
                return made
        self._undo(made)
        return made

    def abandon(self) -> None:
        """Notes that nobody waits any more, so that the value is undone."""
        with self._lock:
            self._abandoned = True
            made = self._made
        for one in made:
            self._undo(one)


def timed_out(timeout_s: float | None) -> Timeout:
    """The error of a limit that has passed."""
    return Timeout(f"no answer within {timeout_s or 0.0:g} seconds", timeout_s=timeout_s or 0.0)


class AsyncioLoop:
    """The loop of asyncio."""

    async def wait_readable(self, descriptor: int) -> None:
        """See Loop."""
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(descriptor, _settle, ready)
        try:
            await ready
        finally:
            loop.remove_reader(descriptor)

    async def wait_writable(self, descriptor: int) -> None:
        """See Loop."""
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_writer(descriptor, _settle, ready)
        try:
            await ready
        finally:
            loop.remove_writer(descriptor)

    async def in_thread(self, work: Callable[[], T], undo: Callable[[T], None]) -> T:
        """See Loop."""
        handover = Handover(work, undo)
        try:
            return await asyncio.to_thread(handover.make)
        except asyncio.CancelledError:
            handover.abandon()
            raise

    @asynccontextmanager
    async def limited(self, timeout_s: float | None, told_s: float | None = None) -> AsyncIterator[None]:
        """See Loop."""
        try:
            async with asyncio.timeout(timeout_s) as limit:
                yield
        except TimeoutError:
            if limit.expired():
                raise timed_out(told_s or timeout_s) from None
            raise


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
