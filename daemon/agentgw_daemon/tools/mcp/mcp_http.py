"""MCP over streamable HTTP: the SDK's transport, and under it one that mends or refuses what servers send."""

from __future__ import annotations

import codecs
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import anyio
import httpx2
import trio
from mcp.client.streamable_http import MCP_SESSION_ID, streamable_http_client

import agentgw
from agentgw_daemon.tools.declared import MAX_REASON, plain_text
from agentgw_daemon.tools.mcp.mcp_connection import (
    MAX_MESSAGE_BYTES,
    McpConnection,
    McpIncoming,
    MessageFilter,
    session_over,
)
from agentgw_daemon.tools.mcp.mcp_errors import BadServer
from agentgw_daemon.tools.mcp.mcp_message import (
    INTERNAL_ERROR,
    PARSE_ERROR,
    McpMessage,
    RequestId,
    mended,
    reply_in,
    unreadable_reply,
)

_TOO_LARGE: Final = f"has more than {MAX_MESSAGE_BYTES >> 20} MiB"
_EVENTS: Final = "text/event-stream"
# A page's words are lost among its marks.
_READABLE: Final = frozenset({"text/plain", "application/json", "application/problem+json"})


@asynccontextmanager
async def over_http(url: str, connect_s: float, on_changed: Callable[[], None]) -> AsyncIterator[McpConnection]:
    """A connection to a server elsewhere; nothing goes to another origin than the configured one."""
    intake = MessageFilter(on_changed)
    to_session, read = anyio.create_memory_object_stream[McpIncoming](0)
    client = httpx2.AsyncClient(
        # Calls have their own limit; an event stream may be silent for as long as it likes.
        timeout=httpx2.Timeout(connect_s, read=None),
        transport=_MendingTransport(httpx2.AsyncHTTPTransport()),
        # Compressed, a bound on what comes would be none on what is made of it.
        headers={"user-agent": f"agentgw/{agentgw.__version__}", "accept-encoding": "identity"},
    )
    async with (
        client,
        streamable_http_client(url, http_client=client, max_sse_event_size=MAX_MESSAGE_BYTES) as (received, write),
        trio.open_nursery() as nursery,
        session_over(read, write, intake) as connection,
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


class _MendingTransport(httpx2.AsyncBaseTransport):
    """Gives the SDK, for each request, one valid answer or the reason why there is none.

    It waits for an answer whose id is not the request's, and of a refusal it tells the status at best.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        request_id = _request_id(request)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            return _answer(response, unreadable_reply(request_id or 0, "is compressed, which was not asked for"))
        if kind == _EVENTS and response.is_success:
            # Whatever the header says of it, this is UTF-8 when it comes out.
            response.headers["content-type"] = _EVENTS
            response.stream = _MendedEvents(response.stream)
            return response
        if request_id is None or response.is_redirect or response.status_code == HTTPStatus.ACCEPTED:
            response.stream = _BoundedStream(response.stream)
            return response
        if response.is_success and kind != "application/json":
            await response.aclose()
            return _answer(response, unreadable_reply(request_id, f"is of the type {plain_text(kind, 80) or 'none'}"))
        reply = await _reply(response, request_id)
        if reply is None and response.status_code == HTTPStatus.NOT_FOUND and MCP_SESSION_ID in request.headers:
            # The SDK's own word for it ends the session.
            return httpx2.Response(response.status_code)
        return _answer(response, reply or _refusal(response, request_id))

    async def aclose(self) -> None:
        await self._inner.aclose()


def _request_id(request: httpx2.Request) -> RequestId | None:
    """The id of the message that the request carries; None when no answer is due."""
    if request.method != "POST":
        return None
    message = json.loads(request.content)
    found = message.get("id") if "method" in message else None
    return found if isinstance(found, int | str) else None


def _answer(response: httpx2.Response, reply: McpMessage) -> httpx2.Response:
    kept = {MCP_SESSION_ID: response.headers[MCP_SESSION_ID]} if MCP_SESSION_ID in response.headers else {}
    return httpx2.Response(response.status_code, headers=kept, json=reply)


async def _reply(response: httpx2.Response, request_id: RequestId) -> McpMessage | None:
    """The answer in the body; None when there is none because the server refuses. Then `response.content` is there."""
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _BoundedStream(response.stream)
    try:
        body = await response.aread()
    except httpx2.StreamError:
        return unreadable_reply(request_id, _TOO_LARGE)
    except httpx2.TransportError as error:
        return unreadable_reply(request_id, f"broke off: {plain_text(str(error), 200) or type(error).__name__}")
    finally:
        await response.aclose()
    reply = reply_in(body, request_id)
    refused = not response.is_success and ("error" not in reply or reply["error"]["code"] == PARSE_ERROR)
    return None if refused else reply


def _refusal(response: httpx2.Response, request_id: RequestId) -> McpMessage:
    """The message to the user for a status that is no success."""
    status = response.status_code
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "no known status"
    words = f"HTTP {status} {phrase}"
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if status in (401, 403, 407):
        # A server that wants OAuth names its scheme here.
        scheme = plain_text(response.headers.get("www-authenticate"), 200)
        words += f": it wants a login{f' ({scheme})' if scheme else ''}, and agentgw has none for servers at an address"
    elif status in (404, 405):
        words += ": no MCP server answers at this address"
    elif kind in _READABLE and (said := plain_text(response.content.decode("utf-8", "replace"), MAX_REASON // 2)):
        words += f": {said}"
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": INTERNAL_ERROR, "message": words}}


class _BoundedStream(httpx2.AsyncByteStream):
    """Ends a response that is larger than a message may be.

    Not a generator: trio warns of one that is left half-way, as the SDK leaves it.
    """

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
            raise httpx2.StreamError(f"the response {_TOO_LARGE}")
        return chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


class _MendedEvents(httpx2.AsyncByteStream):
    """An event stream in valid UTF-8, without escapes of half characters. The SDK bounds each event.

    Passed on by lines, in which no escape is cut.
    """

    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner
        self._chunks = aiter(inner)
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._begun: list[str] = []
        self._begun_chars = 0
        self._ended = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._ended:
            try:
                text = self._decoder.decode(await anext(self._chunks))
            except StopAsyncIteration:
                self._ended = True
                return self._all(self._decoder.decode(b"", final=True))
            end = max(text.rfind("\n"), text.rfind("\r")) + 1
            if end:
                whole = self._all(text[:end])
                self._begin(text[end:])
                return whole
            self._begin(text)
        raise StopAsyncIteration

    def _begin(self, text: str) -> None:
        self._begun.append(text)
        self._begun_chars += len(text)
        if self._begun_chars > MAX_MESSAGE_BYTES:
            raise httpx2.SSEError(f"an event {_TOO_LARGE}")

    def _all(self, text: str) -> bytes:
        whole = mended("".join([*self._begun, text]))
        self._begun, self._begun_chars = [], 0
        return whole.encode("utf-8", "replace")

    async def aclose(self) -> None:
        await self._inner.aclose()
