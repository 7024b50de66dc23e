"""One request to a worker, as its reader sees it: replies through a bounded channel, then the end."""

from __future__ import annotations

from typing import Final

import trio

from agentgw.errors import RpcError
from agentgw_daemon.inference import wire

# A request whose reader pauses holds this many replies; then the pipe fills and the worker waits in write().
# The pipe is shared: with several slots one paused reader holds up the others.
CALL_BUFFER: Final = 16

Reply = wire.Counted | wire.Prefilled | wire.Delta | wire.Done | wire.Failed


class Call:
    """One request to a worker. Iterate to get its replies; the last is Done, Counted or Failed.

    Raises WorkerDied once when the worker ends first. One reader.
    """

    def __init__(self, request_id: int) -> None:
        self.request_id = request_id
        self.ended = trio.Event()
        self._answered = False
        self.error: RpcError | None = None
        self._send, self._receive = trio.open_memory_channel[Reply](CALL_BUFFER)

    def __aiter__(self) -> Call:
        return self

    async def __anext__(self) -> Reply:
        try:
            reply = await self._receive.receive()
        except trio.EndOfChannel:
            error, self.error = self.error, None
            raise error if error is not None else StopAsyncIteration from None
        self._answered = isinstance(reply, wire.Done | wire.Counted | wire.Failed)
        return reply

    @property
    def over(self) -> bool:
        """True once there is nothing left to cancel. The reader may know before the task that delivers."""
        return self._answered or self.ended.is_set()

    async def deliver(self, reply: Reply) -> None:
        """Hand a reply to the reader, waiting while it is `CALL_BUFFER` behind; one who left hears nothing."""
        try:
            await self._send.send(reply)
        except trio.BrokenResourceError:
            await trio.lowlevel.checkpoint()

    def end(self, error: RpcError | None = None) -> None:
        """No more replies. What was delivered before is still read first."""
        if not self.ended.is_set():
            self.error = error
            self._send.close()
            self.ended.set()

    def abandon(self) -> None:
        """The reader leaves."""
        self._receive.close()
