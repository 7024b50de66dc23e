"""MCP over the pipes of a process.

The SDK's own stdio transport is not used: it puts no bound on a message, joins a long one in quadratic time, and drops
what it cannot read, so that a server could take the daemon with it, and a call would wait for an answer that came.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
import trio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest, jsonrpc_message_adapter
from pydantic import ValidationError

from agentgw.transport.framing import FrameSplitter, FrameTooLarge
from agentgw_daemon.tools.declared import MAX_REASON, plain_text
from agentgw_daemon.tools.mcp.mcp_connection import (
    MAX_MESSAGE_BYTES,
    McpConnection,
    McpIncoming,
    MessageFilter,
    session_over,
)
from agentgw_daemon.tools.mcp.mcp_errors import BadServer, ServerConnectionLost, ServerRefused
from agentgw_daemon.tools.mcp.mcp_message import (
    McpMessage,
    RequestId,
    UnreadableMessage,
    is_reply,
    read_messages,
    unreadable_reply,
)
from agentgw_daemon.tools.user.program import READ_BYTES, STDERR_DRAIN_S

# Reading one takes some milliseconds: a thread lets others go on meanwhile.
_LARGE_BYTES: Final = 256 << 10


@asynccontextmanager
async def over_stdio(
    process: trio.Process, on_changed: Callable[[], None], *, stray_s: float, noise_s: float
) -> AsyncIterator[McpConnection]:
    """A connection over the pipes of a running server. See McpLimits for the limits."""
    intake = MessageFilter(on_changed)
    to_session, read = anyio.create_memory_object_stream[McpIncoming](0)
    write, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    async with trio.open_nursery() as nursery, session_over(read, write, intake) as connection:
        pipes = _Pipes(process, intake, to_session, connection, nursery, stray_s=stray_s, noise_s=noise_s)
        nursery.start_soon(pipes.read)
        nursery.start_soon(pipes.end_with_process)
        nursery.start_soon(pipes.write, from_session)
        yield connection
        nursery.cancel_scope.cancel()


class _Pipes:
    """Pipes of both directions, and which requests wait for their answer.

    Every answer reaches its request, or the request fails: at once where it can be told which one it was to answer,
    else as soon as nothing better comes.
    """

    def __init__(
        self, process: trio.Process, intake: MessageFilter, to_session: MemoryObjectSendStream[McpIncoming],
        connection: McpConnection, nursery: trio.Nursery, *, stray_s: float, noise_s: float,
    ) -> None:  # fmt: skip
        self._process = process
        self._intake = intake
        self._to_session = to_session
        self._connection = connection
        self._nursery = nursery
        self._stray_s, self._noise_s = stray_s, noise_s
        self._waiting: set[RequestId] = set()
        # The SDK counts its requests, and does not always send them in their order.
        self._last_id = 0
        self._handshake: RequestId = 0
        self._last_noise = 0.0
        self._listening_to_noise = False
        self._reading = trio.CancelScope()

    async def end_with_process(self) -> None:
        """Ends the reading of a server that is gone: something it started may hold its output open for good."""
        await self._process.wait()
        await trio.sleep(STDERR_DRAIN_S)
        self._reading.cancel()

    async def read(self) -> None:
        """Reads until the server closes its output, is gone or breaks a bound."""
        assert self._process.stdout is not None
        lines = FrameSplitter(MAX_MESSAGE_BYTES)
        async with self._to_session:
            try:
                with self._reading:
                    while chunk := await self._process.stdout.receive_some(READ_BYTES):
                        blank = chunk.count(b"\n")
                        for line in lines.feed(bytes(chunk)):
                            blank -= 1
                            await self._take(line)
                        self._intake.skip(blank)
            except FrameTooLarge:
                self._connection.fail(f"sent a message of more than {MAX_MESSAGE_BYTES >> 20} MiB")
            except BadServer as error:
                self._connection.fail(str(error))
            except (trio.ClosedResourceError, trio.BrokenResourceError, anyio.BrokenResourceError):
                # The session or the process is gone, and whoever ended it knows why.
                pass
        self._connection.fail("")

    async def write(self, from_session: MemoryObjectReceiveStream[SessionMessage]) -> None:
        """Writes until the session ends or the server reads no more."""
        assert self._process.stdin is not None
        async with from_session:
            async for message in from_session:
                self._note(message)
                line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                try:
                    await self._process.stdin.send_all(line.encode("utf-8", "replace") + b"\n")
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    # The end of its stdout says what became of it.
                    return

    def _note(self, sent: SessionMessage) -> None:
        message = sent.message
        if isinstance(message, JSONRPCRequest):
            assert isinstance(message.id, int)
            self._last_id = max(self._last_id, message.id)
            self._waiting.add(message.id)
            if message.method == "initialize":
                self._handshake = message.id
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._waiting.discard((message.params or {}).get("requestId", 0))

    async def _take(self, line: bytes) -> None:
        self._intake.weigh(len(line))
        try:
            if len(line) > _LARGE_BYTES:
                messages = await trio.to_thread.run_sync(read_messages, line)
            else:
                messages = read_messages(line)
        except UnreadableMessage as error:
            self._intake.skip(1)
            await self._doubt(error)
            return
        for message in messages:
            if is_reply(message):
                if not self._was_sent(message["id"]):
                    self._stray(_whose(message))
                    continue
                self._waiting.discard(message["id"])
            try:
                made = SessionMessage(jsonrpc_message_adapter.validate_python(message))
            except ValidationError:
                self._intake.skip(1)
                continue
            admitted = self._intake.admit(made)
            if admitted is not None:
                await self._to_session.send(admitted)

    def _was_sent(self, request_id: RequestId | None) -> bool:
        return isinstance(request_id, int) and 0 < request_id <= self._last_id

    async def _doubt(self, error: UnreadableMessage) -> None:
        """Doubts the requests that wait: something that is no message may be all that is to come of one."""
        if error.request_id is not None and self._was_sent(error.request_id):
            await self._fail(error.request_id, str(error))
        elif error.reply:
            self._stray(str(error))
        elif (suspects := frozenset(self._waiting - {self._handshake})) and not self._listening_to_noise:
            # Its start has a limit of its own, and servers greet.
            self._listening_to_noise = True
            self._nursery.start_soon(self._fail_unless_busy, suspects, str(error))
        self._last_noise = trio.current_time()

    def _stray(self, reason: str) -> None:
        """An answer to nobody; if nothing better comes, it was meant for those that wait."""
        self._intake.skip(1)
        if self._waiting:
            self._nursery.start_soon(self._fail_after, self._stray_s, frozenset(self._waiting), reason)

    async def _fail_after(self, patience_s: float, suspects: frozenset[RequestId], reason: str) -> None:
        await trio.sleep(patience_s)
        for request_id in suspects & self._waiting:
            await self._fail(request_id, reason)

    async def _fail_unless_busy(self, suspects: frozenset[RequestId], reason: str) -> None:
        """Fails the requests of a server that talks on its standard output: once it is silent, and answers
        others, nothing will come.
        """
        try:
            while (until := self._last_noise + self._noise_s) > trio.current_time():
                await trio.sleep_until(until)
            if suspects & self._waiting and await self._answers():
                await self._fail_after(0, suspects, reason)
        finally:
            self._listening_to_noise = False

    async def _answers(self) -> bool:
        with trio.move_on_after(self._noise_s) as patience, suppress(ServerRefused, ServerConnectionLost):
            await self._connection.ping()
        return not patience.cancelled_caught

    async def _fail(self, request_id: RequestId, reason: str) -> None:
        self._waiting.discard(request_id)
        reply = jsonrpc_message_adapter.validate_python(unreadable_reply(request_id, reason))
        # Nobody listens any more when the session has ended.
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            await self._to_session.send(SessionMessage(reply))


def _whose(message: McpMessage) -> str:
    """The fault of an answer's id. With none, servers say that they could not read the request."""
    if message["id"] is not None:
        return "bears an id that was never sent"
    said = plain_text(message["error"]["message"], MAX_REASON // 2) if "error" in message else ""
    return f"bears no id: {said}" if said else "bears no id"
