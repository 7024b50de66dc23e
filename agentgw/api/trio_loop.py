"""The loop of trio, for programs that have it: the one module of the client that imports what is not its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from agentgw.api.loops import Handover, timed_out

T = TypeVar("T")


class TrioLoop:
    """The loop of `trio.run`."""

    async def wait_readable(self, descriptor: int) -> None:
        """See Loop."""
        import trio

        await trio.lowlevel.wait_readable(descriptor)

    async def wait_writable(self, descriptor: int) -> None:
        """See Loop."""
        import trio

        await trio.lowlevel.wait_writable(descriptor)

    async def in_thread(self, work: Callable[[], T], undo: Callable[[T], None]) -> T:
        """See Loop."""
        import trio

        handover = Handover(work, undo)
        try:
            return await trio.to_thread.run_sync(handover.make, abandon_on_cancel=True)
        except trio.Cancelled:
            handover.abandon()
            raise

    @asynccontextmanager
    async def limited(self, timeout_s: float | None, told_s: float | None = None) -> AsyncIterator[None]:
        """See Loop."""
        import trio

        with trio.CancelScope(
            deadline=trio.current_time() + timeout_s if timeout_s is not None else float("inf")
        ) as limit:
            yield
        if limit.cancelled_caught:
            raise timed_out(told_s or timeout_s)
