"""One connection to an MCP server, over the official SDK's client session.

`mcp_stdio` and `mcp_http` carry its messages. This module imports the SDK (0.6 s, 40 MB) and is imported for the first
server.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import trio
from mcp import ClientSession
from mcp.shared.exceptions import MCPError
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.message import SessionMessage
from mcp.shared.transport_context import TransportContext
from mcp_types import CONNECTION_CLOSED, Implementation, JSONRPCNotification, JSONRPCRequest
from pydantic import ValidationError

import agentgw
from agentgw_daemon.tools.declared import MAX_REASON, plain_text
from agentgw_daemon.tools.mcp.mcp_errors import AnswerUnreadable, BadServer, ServerConnectionLost, ServerRefused
from agentgw_daemon.tools.mcp.mcp_message import PARSE_ERROR

# Screenshots come as base64 in one message and have some megabytes.
MAX_MESSAGE_BYTES: Final = 8 << 20
# Unasked bytes are counted for so long, or until an answer comes.
PATIENCE_S: Final = 60.0
# Progress and log lines of a long call are some hundreds.
MAX_UNASKED: Final = 10_000
# Some servers greet with a page of text.
MAX_GARBAGE: Final = 1000
# Reading a message of 8 MiB takes some 0.2 s, in which nobody else is served.
MAX_UNASKED_BYTES: Final = 64 << 20
# Of the server's to us: pings, and what we refuse. The SDK starts a task for each; 10,000 held the daemon for 0.5 s.
MAX_REQUESTS: Final = 100
MAX_PAGES: Final = 20
# The SDK's own words.
_CLOSED: Final = "Connection closed"
_SESSION_GONE: Final = "Session terminated"
_LIST_CHANGED: Final = "notifications/tools/list_changed"

# Items that the SDK's streams carry to a session.
McpIncoming = SessionMessage | Exception

# The SDK's log lines quote what servers send. Their meaning for a call is logged here.
logging.getLogger("mcp").setLevel(logging.CRITICAL)


class MessageFilter:
    """Lets in what the session has to hear. Raises BadServer for a server that says too much."""

    def __init__(self, on_changed: Callable[[], None]) -> None:
        self._on_changed = on_changed
        self._unasked = self._requests = self._garbage = self._bytes = 0
        self._since = trio.current_time()

    def answered(self) -> None:
        """A request was answered: the server has earned new patience."""
        self._unasked = self._requests = self._garbage = self._bytes = 0
        self._since = trio.current_time()

    def weigh(self, size: int) -> None:
        """Counts bytes that came."""
        self._renew()
        self._bytes += size
        if self._bytes > MAX_UNASKED_BYTES:
            raise BadServer("sends messages without end")

    def skip(self, lines: int) -> None:
        """Counts lines that were no messages."""
        self._renew()
        self._garbage += lines
        if self._garbage > MAX_GARBAGE:
            raise BadServer("writes lines that are no messages")

    def _renew(self) -> None:
        # A log line a second is no flood, however long nobody asks the server for anything.
        if trio.current_time() > self._since + PATIENCE_S:
            self.answered()

    def admit(self, message: SessionMessage) -> SessionMessage | None:
        """The message, unless it is a notification: the one that matters here is noted, all others are dropped."""
        self._renew()
        self._unasked += 1
        self._requests += isinstance(message.message, JSONRPCRequest)
        if self._unasked > MAX_UNASKED or self._requests > MAX_REQUESTS:
            raise BadServer("sends messages without end")
        if not isinstance(message.message, JSONRPCNotification):
            return message
        if message.message.method == _LIST_CHANGED:
            self._on_changed()
        return None


class McpConnection:
    """A session. `ended` is set when nothing can be asked any more, and `problem` says why, if the session knows."""

    def __init__(
        self, session: ClientSession, dispatcher: JSONRPCDispatcher[TransportContext], intake: MessageFilter
    ) -> None:
        self.ended = trio.Event()
        self.problem = ""
        self._session = session
        self._dispatcher = dispatcher
        self._intake = intake

    def fail(self, problem: str) -> None:
        """Ends the connection for requests: nothing more is to be asked."""
        self.problem = self.problem or problem
        self.ended.set()

    async def initialise(self) -> None:
        """The handshake. Raises ServerRefused, ServerConnectionLost and BadServer."""
        try:
            await self._session.initialize()
        except MCPError as error:
            raise _translated(error) from None
        except (ValidationError, RuntimeError) as error:
            # RuntimeError: a version of the protocol that the SDK does not speak.
            raise BadServer(f"does not speak MCP as expected: {_first_line(error)}") from None
        self._intake.answered()

    async def list_tools(self, most: int) -> tuple[list[Any], int]:
        """The first `most` of what the server says its tools are, each to be checked by itself, and how many it has.

        Raises as `call_tool`, and BadServer when it gives no list.
        """
        capabilities = self._session.server_capabilities
        if capabilities is None or capabilities.tools is None:
            return [], 0
        tools: list[Any] = []
        in_all = 0
        params: dict[str, Any] = {}
        for _ in range(MAX_PAGES):
            result = await self._ask("tools/list", params)
            page = result.get("tools")
            if not isinstance(page, list):
                raise BadServer("answers with no list when it is asked for its tools")
            in_all += len(page)
            tools += page[: most - len(tools)]
            cursor = result.get("nextCursor")
            if not isinstance(cursor, str) or not cursor:
                break
            params = {"cursor": cursor}
        return tools, in_all

    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The raw result. Cancelling tells the server. Raises ServerRefused, AnswerUnreadable and
        ServerConnectionLost.
        """
        # Not the session's own call: that checks results against the server's schemas, whose regular expressions
        # can take for ever.
        return await self._ask("tools/call", {"name": name, "arguments": dict(arguments)})

    async def ping(self) -> None:
        """Raises ServerRefused and ServerConnectionLost."""
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


def _translated(error: MCPError) -> ServerRefused | ServerConnectionLost:
    # The SDK's codes are ones that servers use for errors of their own: only the text tells.
    lost = error.error.code == CONNECTION_CLOSED and error.error.message == _CLOSED
    text = plain_text(error.error.message, MAX_REASON)
    if lost or error.error.message == _SESSION_GONE:
        return ServerConnectionLost(text)
    # Of this side, mostly: a server that could not read our request is meant by it just as well.
    return (AnswerUnreadable if error.error.code == PARSE_ERROR else ServerRefused)(text)


def _first_line(error: Exception) -> str:
    return plain_text(str(error).partition("\n")[0], 200)


@asynccontextmanager
async def session_over(read: Any, write: Any, intake: MessageFilter) -> AsyncIterator[McpConnection]:
    """A session over the two streams of a transport."""
    dispatcher: JSONRPCDispatcher[TransportContext] = JSONRPCDispatcher(read, write)
    # No callbacks: a server gets neither our model, nor our user, nor our folders.
    session = ClientSession(
        dispatcher=dispatcher, client_info=Implementation(name="agentgw", version=agentgw.__version__)
    )
    async with session:
        yield McpConnection(session, dispatcher, intake)
