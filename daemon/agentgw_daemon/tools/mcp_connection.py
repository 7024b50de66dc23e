"""One connection to an MCP server, over the official SDK's client session.

The SDK's own stdio transport is not used: it puts no bound on a message and joins a long one in quadratic time, so a
server could take the daemon with it. This module imports the SDK (0.6 s, 40 MB) and is imported for the first server.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import httpx2
import trio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.message import SessionMessage
from mcp.shared.transport_context import TransportContext
from mcp_types import CONNECTION_CLOSED, Implementation, JSONRPCNotification, JSONRPCRequest, jsonrpc_message_adapter
from pydantic import ValidationError

import agentgw
from agentgw.framing import FrameSplitter, FrameTooLarge
from agentgw_daemon.tools.declared import MAX_REASON, plain_text
from agentgw_daemon.tools.mcp_errors import BadServer, ConnectionLost, ServerRefused
from agentgw_daemon.tools.program import READ_BYTES

# Screenshots come as base64 in one message and have some megabytes.
MAX_MESSAGE_BYTES: Final = 8 << 20
# Progress and log lines of a long call are some hundreds.
MAX_UNASKED: Final = 10_000
MAX_GARBAGE: Final = 100
# Of the server's to us: pings, and what we refuse. The SDK starts a task for each; 10,000 held the daemon for 0.5 s.
MAX_REQUESTS: Final = 100
MAX_PAGES: Final = 20
# The SDK's own words.
_CLOSED: Final = "Connection closed"
_SESSION_GONE: Final = "Session terminated"
_LIST_CHANGED: Final = "notifications/tools/list_changed"

_Message = SessionMessage | Exception

# What the SDK logs quotes what servers send. What it means for a call is logged here.
logging.getLogger("mcp").setLevel(logging.CRITICAL)


class Intake:
    """Lets in what the session has to hear. Raises BadServer for a server that says too much."""

    def __init__(self, on_changed: Callable[[], None]) -> None:
        self._on_changed = on_changed
        self._unasked = self._requests = self._garbage = 0

    def answered(self) -> None:
        """A request was answered: the server has earned new patience."""
        self._unasked = self._requests = self._garbage = 0

    def read(self, line: bytes) -> SessionMessage | None:
        """The message of a line; None for one that is not for the session."""
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValidationError:
            self.skip(1)
            return None
        return self.admit(SessionMessage(message))

    def skip(self, lines: int) -> None:
        """So many lines were no messages."""
        self._garbage += lines
        if self._garbage > MAX_GARBAGE:
            raise BadServer("writes lines that are no messages")

    def admit(self, message: SessionMessage) -> SessionMessage | None:
        """The message, unless it is a notification: the one that matters here is noted, all others are dropped."""
        self._unasked += 1
        self._requests += isinstance(message.message, JSONRPCRequest)
        if self._unasked > MAX_UNASKED or self._requests > MAX_REQUESTS:
            raise BadServer("sends messages without end")
        if not isinstance(message.message, JSONRPCNotification):
            return message
        if message.message.method == _LIST_CHANGED:
            self._on_changed()
        return None


class Connection:
    """A session. `ended` is set when nothing can be asked any more, and `problem` says why, if the session knows."""

    def __init__(self, session: ClientSession, dispatcher: JSONRPCDispatcher[TransportContext], intake: Intake) -> None:
        self.ended = trio.Event()
        self.problem = ""
        self._session = session
        self._dispatcher = dispatcher
        self._intake = intake

    def fail(self, problem: str) -> None:
        """Nothing more is to be asked."""
        self.problem = self.problem or problem
        self.ended.set()

    async def initialise(self) -> None:
        """The handshake. Raises ServerRefused, ConnectionLost and BadServer."""
        try:
            await self._session.initialize()
        except MCPError as error:
            raise _translated(error) from None
        except (ValidationError, RuntimeError) as error:
            # RuntimeError: a version of the protocol that the SDK does not speak.
            raise BadServer(f"does not speak MCP as expected: {_first_line(error)}") from None
        self._intake.answered()

    async def list_tools(self) -> list[Any]:
        """What the server says its tools are, as it says it: each is to be checked by itself."""
        capabilities = self._session.server_capabilities
        if capabilities is None or capabilities.tools is None:
            return []
        tools: list[Any] = []
        params: dict[str, Any] = {}
        for _ in range(MAX_PAGES):
            result = await self._ask("tools/list", params)
            page = result.get("tools")
            tools += page if isinstance(page, list) else []
            cursor = result.get("nextCursor")
            if not isinstance(cursor, str) or not cursor:
                break
            params = {"cursor": cursor}
        return tools

    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The raw result. Cancelling tells the server. Raises ServerRefused and ConnectionLost."""
        # Not the session's own call: that checks results against the server's schemas, whose regular expressions
        # can take for ever.
        return await self._ask("tools/call", {"name": name, "arguments": dict(arguments)})

    async def ping(self) -> None:
        """Raises ServerRefused and ConnectionLost."""
        await self._ask("ping", None)

    async def _ask(self, method: str, params: dict[str, Any] | None) -> dict[str, Any]:
        try:
            result = await self._dispatcher.send_raw_request(method, params)
        except MCPError as error:
            if error.error.message == _SESSION_GONE:
                # A server over HTTP has forgotten us, mostly because it was started anew: so is the connection.
                self.fail("ended the session")
            raise _translated(error) from None
        self._intake.answered()
        return result


def _translated(error: MCPError) -> ServerRefused | ConnectionLost:
    # The SDK's codes are ones that servers use for errors of their own: only the text tells.
    lost = error.error.code == CONNECTION_CLOSED and error.error.message == _CLOSED
    made = ConnectionLost if lost or error.error.message == _SESSION_GONE else ServerRefused
    return made(plain_text(error.error.message, MAX_REASON))


def _first_line(error: Exception) -> str:
    return plain_text(str(error).partition("\n")[0], 200)


@asynccontextmanager
async def over_stdio(process: trio.Process, on_changed: Callable[[], None]) -> AsyncIterator[Connection]:
    """A connection over the pipes of a running server."""
    intake = Intake(on_changed)
    to_session, read = anyio.create_memory_object_stream[_Message](0)
    write, from_session = anyio.create_memory_object_stream[SessionMessage](0)
    async with trio.open_nursery() as nursery, _session(read, write, intake) as connection:
        nursery.start_soon(_read, process, intake, to_session, connection)
        nursery.start_soon(_write, process, from_session)
        yield connection
        nursery.cancel_scope.cancel()


async def _read(
    process: trio.Process, intake: Intake, to_session: MemoryObjectSendStream[_Message], connection: Connection
) -> None:
    assert process.stdout is not None
    lines = FrameSplitter(MAX_MESSAGE_BYTES)
    async with to_session:
        try:
            while chunk := await process.stdout.receive_some(READ_BYTES):
                blank = chunk.count(b"\n")
                for line in lines.feed(bytes(chunk)):
                    blank -= 1
                    message = intake.read(line)
                    if message is not None:
                        await to_session.send(message)
                intake.skip(blank)
        except FrameTooLarge:
            connection.fail(f"sent a message of more than {MAX_MESSAGE_BYTES >> 20} MiB")
        except BadServer as error:
            connection.fail(str(error))
        except (trio.ClosedResourceError, trio.BrokenResourceError, anyio.BrokenResourceError):
            # The session or the process is gone, and whoever ended it knows why.
            pass
    connection.fail("")


async def _write(process: trio.Process, from_session: MemoryObjectReceiveStream[SessionMessage]) -> None:
    assert process.stdin is not None
    async with from_session:
        async for message in from_session:
            line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            try:
                await process.stdin.send_all(line.encode("utf-8", "replace") + b"\n")
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                # The end of its stdout says what became of it.
                return


@asynccontextmanager
async def over_http(url: str, connect_s: float, on_changed: Callable[[], None]) -> AsyncIterator[Connection]:
    """A connection to a server elsewhere; nothing goes to another origin than the configured one."""
    intake = Intake(on_changed)
    to_session, read = anyio.create_memory_object_stream[_Message](0)
    client = httpx2.AsyncClient(
        # Calls have their own limit; an event stream may be silent for as long as it likes.
        timeout=httpx2.Timeout(connect_s, read=None),
        transport=_BoundedTransport(httpx2.AsyncHTTPTransport()),
        headers={"user-agent": f"agentgw/{agentgw.__version__}"},
    )
    async with (
        client,
        streamable_http_client(url, http_client=client, max_sse_event_size=MAX_MESSAGE_BYTES) as (received, write),
        trio.open_nursery() as nursery,
        _session(read, write, intake) as connection,
    ):

        async def forward() -> None:
            async with to_session:
                try:
                    async for item in received:
                        message = item if isinstance(item, Exception) else intake.admit(item)
                        if message is not None:
                            await to_session.send(message)
                except BadServer as error:
                    connection.fail(str(error))
                except anyio.BrokenResourceError:
                    pass
            connection.fail("")

        nursery.start_soon(forward)
        yield connection
        nursery.cancel_scope.cancel()


class _BoundedTransport(httpx2.AsyncBaseTransport):
    """Ends a response that is larger than a message may be; event streams are bounded by event."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _BoundedStream(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    """Not a generator: trio warns of one that is left half-way, as the SDK leaves it."""

    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner
        self._chunks = aiter(inner)
        self._size = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await anext(self._chunks)
        self._size += len(chunk)
        if self._size > MAX_MESSAGE_BYTES:
            raise httpx2.StreamError(f"the response has more than {MAX_MESSAGE_BYTES >> 20} MiB")
        return chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def _session(read: Any, write: Any, intake: Intake) -> AsyncIterator[Connection]:
    dispatcher: JSONRPCDispatcher[TransportContext] = JSONRPCDispatcher(read, write)
    # No callbacks: a server gets neither our model, nor our user, nor our folders.
    session = ClientSession(
        dispatcher=dispatcher, client_info=Implementation(name="agentgw", version=agentgw.__version__)
    )
    async with session:
        yield Connection(session, dispatcher, intake)
