"""One HTTP connection: h11 for the protocol, and every wait of it bounded.

One request at a time. While a call runs the connection is read on, because that is how its client's leaving is
noticed; what else comes then (pipelined requests) is kept, up to a bound. A client that does not take its answer is
dropped after a stall, so nothing here outlasts a stop for longer than its nursery allows.
"""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, TypeVarTuple

import h11
import trio

from agentgw_daemon.events.delivery import ReaderGone
from agentgw_daemon.gateway.http.head import MAX_HEAD_BYTES, head_too_large, request_of
from agentgw_daemon.gateway.http.messages import SAFE_HEADERS, Headers, HttpAnswer, HttpRequest
from agentgw_daemon.gateway.http.neighbour import is_strangers
from agentgw_daemon.gateway.http.refusal import HttpRefused, refused_answer

if TYPE_CHECKING:
    from agentgw_daemon.config.settings import LimitsSection
    from agentgw_daemon.gateway.http.door import Door

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

log = logging.getLogger(__name__)

HEAD_TIMEOUT_S: Final = 10.0
# Between requests. Clients with a pool of connections count on about a minute.
IDLE_TIMEOUT_S: Final = 60.0
# A body gets this, and a second more for each so many bytes of it: what drips is cut off, what is large is not.
BODY_TIMEOUT_S: Final = 10.0
_BODY_BYTES_PER_S: Final = 16 << 10
# For the rest of a body that nobody wants: a connection that is closed on unread bytes is reset, answer and all.
_LINGER_S: Final = 1.0
_READ_BYTES: Final = 64 << 10
# Read ahead while a call runs.
_MOST_PIPELINED_BYTES: Final = 64 << 10
_WRITE_BYTES: Final = 64 << 10
# See `Peer`: only the kernel knows that a client which closed its sending side has died since.
_HANGUP_CHECK_S: Final = 0.1


class RequestAnswerer(Protocol):
    """The one that answers the requests of connections."""

    limits: LimitsSection

    async def answer(self, connection: HttpConnection, door: Door, request: HttpRequest) -> None:
        """Answer one request, whatever it is. Raises ReaderGone."""

    def note(self, connection: HttpConnection, door: Door, took_s: float) -> None:
        """Log and count a request that has been answered, or was left by its client."""


class HttpConnection:
    """A connection from accept to close. `run` never raises for anything the client did."""

    def __init__(self, stream: trio.SocketStream, door: Door, answerer: RequestAnswerer) -> None:
        self._stream = stream
        self._door = door
        self._answerer = answerer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._stall_s = answerer.limits.write_stall_s
        self._idle = trio.CancelScope()
        self._served = 0
        self._closing = False
        self._left = False
        self._ended = False
        self._read_ahead = 0
        self._extra_headers: Headers = ()
        self._unread = False
        # True when the answer is a stream whose pieces are chunks of HTTP/1.1.
        self._in_chunks = False
        # Bytes of them that the kernel has not taken.
        self._unsent = b""
        # Not known before somebody asks.
        self._strangers: bool | None = None
        self._stop_switched: Callable[[], None] | None = None
        # The request that is being answered, and its route.
        self.request: HttpRequest | None = None
        self.route = "-"
        # True when a script of ours asks for a piece of a page that is open.
        self.is_piece = False
        # True when the head of an answer has been sent, or is being sent.
        self.answering = False
        self.status = 0
        self.sent_bytes = 0

    async def run(self) -> None:
        """Serve until the client leaves, misbehaves or is cancelled."""
        try:
            async with self._stream:
                while await self._serve_one():
                    self._http.start_next_cycle()
                if self._unread and not self._ended:
                    await self._linger()
        except (ReaderGone, trio.BrokenResourceError, trio.ClosedResourceError):
            log.debug("client gone")

    def close(self) -> None:
        """Take no more requests: one that is being answered still is."""
        self._closing = True
        self._idle.cancel()
        if self._stop_switched is not None:
            self._stop_switched()

    async def _serve_one(self) -> bool:
        """Answer the next request; gives whether another one may follow."""
        self.answering, self.status, self.sent_bytes, self._extra_headers = False, 0, 0, ()
        self._in_chunks = False
        self.request, self.route, self.is_piece = None, "-", False
        began = time.monotonic()
        try:
            event = await self._next_request()
            if event is None:
                return False
            began = time.monotonic()
            self.request = request_of(event)
            if not (self._announced_bytes() or self.request.all("transfer-encoding")):
                # There is no body, so this is its end, and another request may follow.
                self._http.next_event()
            await self._answerer.answer(self, self._door, self.request)
        except (h11.RemoteProtocolError, HttpRefused) as error:
            await self._refuse_head(error)
        finally:
            if self.request is not None or self.answering:
                self._answerer.note(self, self._door, time.monotonic() - began)
        self._served += 1
        self._unread = self._http.their_state is not h11.DONE
        return self._http.our_state is h11.DONE and not self._unread and not self._closing

    async def _next_request(self) -> h11.Request | None:
        """The head of the next request; None when the client, the time or the daemon has come to an end."""
        first = self._served == 0
        deadline = trio.current_time() + (HEAD_TIMEOUT_S if first else IDLE_TIMEOUT_S)
        begun = self._http.trailing_data[0] != b""
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                return event
            if event is not h11.NEED_DATA:
                return None
            if self._closing and not begun:
                return None
            data = await self._receive_head(deadline, idle=not begun)
            if data is None:
                if begun:
                    raise HttpRefused(408, "RequestTimeout", f"the head of a request must end in {HEAD_TIMEOUT_S:g} s")
                return None
            if not begun and not first:
                deadline = trio.current_time() + HEAD_TIMEOUT_S
            begun = True
            self._feed(data)

    async def _receive_head(self, deadline: float, *, idle: bool) -> bytes | None:
        with trio.CancelScope(deadline=deadline) as scope:
            if not idle:
                return await self._receive()
            self._idle = scope
            return await self._receive()
        return None

    async def _receive(self) -> bytes:
        return bytes(await self._stream.receive_some(_READ_BYTES))

    def _feed(self, data: bytes) -> None:
        if not self._ended:
            self._http.receive_data(data)
            self._ended = not data

    async def _refuse_head(self, error: h11.RemoteProtocolError | HttpRefused) -> None:
        """Answer what is no request. Nothing of it is quoted: it may be anything."""
        if isinstance(error, h11.RemoteProtocolError):
            if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
                raise ReaderGone
            if error.error_status_hint == 431:
                error = head_too_large()
            else:
                error = HttpRefused(400, "RequestMalformed", "this is not a request of HTTP/1.1")
        await self.send(refused_answer(error))

    async def read_body(self, limit_bytes: int, setting: str) -> bytes:
        """The whole body. Raises HttpRefused when it is longer than `setting` allows, or drips."""
        return b"".join([piece async for piece in self.body_pieces(limit_bytes, setting)])

    async def body_pieces(self, limit_bytes: int, setting: str) -> AsyncIterator[bytes]:
        """The body as it comes; see `read_body`."""
        too_large = HttpRefused(
            413, "BodyTooLarge", f"the body has more than {limit_bytes} bytes", hint=f"{setting} allows more"
        )
        if self._announced_bytes() > limit_bytes:
            raise too_large
        if self._http.they_are_waiting_for_100_continue:
            await self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
        count, began = 0, trio.current_time()
        while self._http.their_state is h11.SEND_BODY:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                raise HttpRefused(400, "BodyMalformed", "the body does not end as its head says") from None
            if isinstance(event, h11.Data):
                count += len(event.data)
                if count > limit_bytes:
                    raise too_large
                yield bytes(event.data)
            elif event is h11.NEED_DATA:
                with trio.move_on_at(began + BODY_TIMEOUT_S + count / _BODY_BYTES_PER_S):
                    self._feed(await self._receive())
                    continue
                raise HttpRefused(408, "RequestTimeout", "the body came too slowly")

    def _announced_bytes(self) -> int:
        # h11 has seen to it that it is one number.
        return int(self.request.one("content-length") or 0) if self.request is not None else 0

    async def while_connected(self, run: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Returns what `run` does. Cancels it when the client leaves, and raises ReaderGone then."""
        self._read_ahead = len(self._http.trailing_data[0])
        made: list[T] = []
        failed: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_on_leaving, nursery.cancel_scope)
            try:
                made.append(await run(*args))
            except Exception as error:  # noqa: BLE001  # raised again below: the nursery would wrap it up
                failed = error
            nursery.cancel_scope.cancel()
        if failed is not None:
            raise failed
        if not made:
            raise ReaderGone
        return made[0]

    async def _cancel_on_leaving(self, scope: trio.CancelScope) -> None:
        try:
            while not self._ended:
                if self._read_ahead > _MOST_PIPELINED_BYTES:
                    await trio.sleep_forever()
                data = await self._receive()
                self._read_ahead += len(data)
                self._feed(data)
            # A request through a pipe, whose writer is done and waits for the answer. Over TCP the kernel tells no
            # difference between that and a client that is gone.
            while self._door.name == "unix" and not self._is_hung_up():
                await trio.sleep(_HANGUP_CHECK_S)
        except trio.BrokenResourceError:
            log.debug("client gone")
        scope.cancel()

    def _is_hung_up(self) -> bool:
        poll = select.poll()
        poll.register(self._stream.socket.fileno(), 0)  # POLLHUP and POLLERR are always reported
        return bool(poll.poll(0))

    def add_headers(self, headers: Headers) -> None:
        """Add headers to the answer of this request, whatever it will be."""
        self._extra_headers = headers

    async def send(self, answer: HttpAnswer) -> None:
        """A whole answer. Raises ReaderGone."""
        headers = answer.headers
        if answer.status not in (204, 304):
            headers += (("content-type", answer.content_type), ("content-length", str(len(answer.body))))
        await self._start(answer.status, headers)
        if answer.body and (self.request is None or self.request.method != "HEAD"):
            await self.send_piece(answer.body)
        await self.end_stream()

    def is_strangers(self) -> bool:
        """Tells whether another user of this machine holds the other end."""
        if self._strangers is None:
            self._strangers = is_strangers(self._stream.socket)
        return self._strangers

    async def start_stream(self, content_type: str) -> None:
        """The head of an answer whose end is not known yet."""
        # nginx would collect events otherwise.
        await self._start(200, (("content-type", content_type), ("x-accel-buffering", "no")))
        self._in_chunks = (self._http.their_http_version or b"") >= b"1.1"

    async def send_piece(self, piece: bytes) -> None:
        """Send one more piece of a stream. Raises ReaderGone."""
        await self._write(self._framed(piece))

    def send_piece_now(self, piece: bytes) -> bool:
        """Send a piece without waiting. Tells whether all of it has left; the rest leaves before what is sent next."""
        framed = self._framed(piece)
        self.sent_bytes += len(framed)
        try:
            framed = framed[self._send_now(framed) :]
        except ReaderGone:
            # Whoever sends the rest learns it too.
            log.debug("client gone")
        self._unsent = framed
        return not framed

    async def flush(self) -> None:
        """Send what has not left yet. Raises ReaderGone."""
        await self._write(b"")

    def _framed(self, piece: bytes) -> bytes:
        """A piece of an answer as it is sent."""
        if self._in_chunks and piece:
            # As h11 has it, in a tenth of the time: 200 watchers are told thousands of pieces a second.
            return b"%x\r\n%b\r\n" % (len(piece), piece)
        return self._http.send(h11.Data(data=piece)) or b""

    async def end_stream(self) -> None:
        """The end of an answer."""
        await self._write(self._http.send(h11.EndOfMessage()) or b"")

    @property
    def stream(self) -> trio.SocketStream:
        """The connection itself, for the protocol that it is switched to."""
        return self._stream

    async def switch(self, protocol: str, stop: Callable[[], None]) -> bytes:
        """Agree to speak another protocol; gives what was read of it already. `stop` is called when the daemon stops.

        Raises ReaderGone.
        """
        self.answering, self.status = True, 101
        headers = [("date", _date()), *self._extra_headers, ("connection", "Upgrade"), ("upgrade", protocol)]
        await self._write(self._http.send(h11.InformationalResponse(status_code=101, headers=headers)))
        self._stop_switched = stop
        if self._closing:
            stop()
        # It is the other protocol that reads to the end.
        self._ended = True
        return bytes(self._http.trailing_data[0])

    async def _start(self, status: int, headers: Headers) -> None:
        self.answering = True
        self.status = status
        own = {name for name, _ in headers}
        safe = (header for header in SAFE_HEADERS if header[0] not in own)
        made = [("date", _date()), *safe, *self._extra_headers, *headers]
        if self._closing or self._http.their_state not in (h11.DONE, h11.MUST_CLOSE):
            # What is left of the body is in the way of another request.
            made.append(("connection", "close"))
        head = h11.Response(status_code=status, headers=made, reason=HTTPStatus(status).phrase.encode())
        await self._write(self._http.send(head) or b"")

    async def _write(self, data: bytes) -> None:
        self.sent_bytes += len(data)
        view = memoryview(self._unsent + data)
        self._unsent = b""
        # Most of what is written has room: a piece of a stream then costs no change of tasks and no deadline.
        if view:
            view = view[self._send_now(view) :]
        while view:
            with trio.move_on_after(self._stall_s) as patience:
                try:
                    await self._stream.send_all(view[:_WRITE_BYTES])
                except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                    raise ReaderGone from error
            if patience.cancelled_caught:
                raise ReaderGone
            view = view[_WRITE_BYTES:]

    def _send_now(self, data: bytes | memoryview) -> int:
        """Bytes that the kernel took without waiting."""
        try:
            # The number of a socket that has been closed is none, and never that of another one.
            return os.write(self._stream.socket.fileno(), data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise ReaderGone from error

    async def _linger(self) -> None:
        """Let the answer arrive although the client still sends."""
        with trio.move_on_after(_LINGER_S):
            await self._stream.send_eof()
            while not self._ended and await self._receive():
                pass


def _date() -> str:
    """The time as HTTP has it, whatever the locale."""
    return formatdate(usegmt=True)
