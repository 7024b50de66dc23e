"""One request to a worker, as its reader sees it: replies from a queue that credit bounds, then the end."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Final

import trio

from agentgw.protocol.errors import RpcError
from agentgw_daemon.workers.protocol import model as wire
from agentgw_daemon.workers.protocol.lines import WireError

# The reader took this many texts since the last credit: time for more, long before the window is used up.
CREDIT_TEXTS: Final = wire.WINDOW_TEXTS // 4

GenerationReply = (
    wire.Counted
    | wire.GenerationQueued
    | wire.Prefilled
    | wire.GenerationDelta
    | wire.GenerationDone
    | wire.GenerationFailed
)


class WorkerCall:
    """One request to a worker. Iterate to get its replies; the last is GenerationDone, Counted or GenerationFailed.

    Raises WorkerDied once when the worker ends first. One reader. What the reader has not taken is at most
    `model.WINDOW_TEXTS` texts, one report of progress and the end: delivering never waits, so a reader who pauses
    stops his own stream in the worker and nothing else. `allow` is told how many texts more may come.
    """

    def __init__(self, request_id: int, allow: Callable[[int], None]) -> None:
        self.request_id = request_id
        self.ended = trio.Event()
        self.error: RpcError | None = None
        self._allow = allow
        self._replies: collections.deque[GenerationReply] = collections.deque()
        self._news = trio.Event()
        self._answered = False
        self._has_caught_up = trio.Event()
        self._abandoned = False
        self._credit = wire.WINDOW_TEXTS
        self._taken = 0

    def __aiter__(self) -> WorkerCall:
        return self

    async def __anext__(self) -> GenerationReply:
        while not self._replies:
            if self.ended.is_set():
                error, self.error = self.error, None
                raise error if error is not None else StopAsyncIteration from None
            self._news = trio.Event()
            self._has_caught_up.set()
            await self._news.wait()
        await trio.lowlevel.checkpoint()
        reply = self._replies.popleft()
        if isinstance(reply, wire.GenerationDelta):
            self._take(len(reply.texts))
        self._answered = isinstance(reply, wire.GenerationDone | wire.Counted | wire.GenerationFailed)
        return reply

    @property
    def over(self) -> bool:
        """True once there is nothing left to cancel. The reader may know before the task that delivers."""
        return self._answered or self.ended.is_set()

    @property
    def parked(self) -> bool:
        """Tells whether the worker may not go on with the call until its reader takes something."""
        return self._credit <= 0

    async def wait_caught_up(self) -> None:
        """Returns once its reader has dealt with all that was delivered and asks for more, or has gone."""
        if not (self._abandoned or self.ended.is_set()):
            await self._has_caught_up.wait()

    def deliver(self, reply: GenerationReply) -> None:
        """Hand a reply to the reader; one who left hears nothing. Raises WireError if it may not come yet."""
        if isinstance(reply, wire.GenerationDelta):
            self._credit -= len(reply.texts)
            # One more: the text that was held back when the answer ended.
            if self._credit < -1:
                raise WireError("more text than was allowed")
        if self._abandoned:
            return
        if isinstance(reply, wire.Prefilled) and self._replies and isinstance(self._replies[-1], wire.Prefilled):
            self._replies.pop()
        self._replies.append(reply)
        if self._has_caught_up.is_set():
            self._has_caught_up = trio.Event()
        self._news.set()

    def end(self, error: RpcError | None = None) -> None:
        """Ends the replies. What was delivered before is still read first."""
        if not self.ended.is_set():
            self.error = error
            self.ended.set()
            self._news.set()
            self._has_caught_up.set()

    def abandon(self) -> None:
        """The reader leaves."""
        self._abandoned = True
        self._has_caught_up.set()
        self._replies.clear()

    def _take(self, texts: int) -> None:
        self._taken += texts
        if self._taken >= CREDIT_TEXTS and not self.ended.is_set():
            allowed, self._taken = self._taken, 0
            self._allow(allowed)
            self._credit += allowed
