"""One client's connection: reads frames, runs calls, lets the outbox write.

Lifetimes, from the outside in: the writer, then the calls, then the reader. The reader's end (the client
shut down its sending side) does not end the calls: `printf request | nc -U` wants its answer. The client's
end does: a closed socket cancels every call it waits for.
"""

from __future__ import annotations

import inspect
import logging
import select
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from typing import Any, Final

import trio

from agentgw.protocol.errors import InvalidRequest, Overloaded, RpcError
from agentgw.transport.framing import FrameSplitter, FrameTooLarge, decode, encode
from agentgw_daemon.events.delivery import ReaderGone
from agentgw_daemon.observability.supervision import internal_error
from agentgw_daemon.server.calls.dispatch import (
    MAX_BATCH,
    NOTIFICATION,
    BoundCall,
    Refused,
    error_response,
    read_call,
    result_response,
)
from agentgw_daemon.server.calls.request import Handler, RequestContext
from agentgw_daemon.server.calls.sinks import JSON_RPC, EncodedEvents
from agentgw_daemon.server.connections.outbox import Outbox
from agentgw_daemon.server.daemon import Daemon

log = logging.getLogger(__name__)

_READ_BYTES: Final = 64 << 10
# A client that half-closed and then died sends nothing more: only the kernel knows. Asked this often, and
# only while such a client's calls are under way.
_HANGUP_CHECK_S: Final = 0.1
# Time that replies may take to leave once nothing else happens on the connection.
_DRAIN_S: Final = 5.0


@cache
def _is_plain(handler: Handler) -> bool:
    """Tells whether the handler answers at once. Asked at every call, and `inspect` is slow."""
    return not inspect.iscoroutinefunction(handler)


def _read(entry: Any) -> BoundCall | bytes | None:
    """The call that a request object makes, or the frame of the response that refuses it, if it gets one."""
    try:
        return read_call(entry)
    except Refused as refused:
        return None if refused.response is None else encode(refused.response)
    except Exception as error:  # noqa: BLE001 - supervision point: what cannot be read must not end the daemon
        return encode(error_response(None, internal_error(error, "a request")))


class Peer:
    """A connection from accept to close. `run` never raises for anything the client did."""

    def __init__(self, stream: trio.SocketStream, daemon: Daemon, handlers: Mapping[str, Handler]) -> None:
        limits = daemon.services.settings.limits
        self._socket = stream.socket
        self._stream = stream
        self._services = daemon.services
        self._handlers = handlers
        self._limits = limits
        self._outbox = Outbox(stream.socket, limit_bytes=limits.outbox_bytes, stall_s=limits.write_stall_s)
        self._subscriptions = ExitStack()
        self._request = RequestContext(daemon, EncodedEvents(JSON_RPC, self._outbox), self._subscriptions)
        self._splitter = FrameSplitter(limits.max_message_bytes)
        self._ids: set[Any] = set()
        self._in_flight = 0
        self._calls: trio.Nursery | None = None
        self._reading = trio.CancelScope()

    async def run(self, read_already: bytes = b"", *, ends_by_halves: bool = True) -> None:
        """Serve until the client leaves, misbehaves or is cancelled. `read_already` comes before what is received.

        Without `ends_by_halves` a client that sends nothing more has left: over TCP the kernel tells no difference
        between one that is gone and one that waits for its answers.
        """
        try:
            with self._subscriptions:
                async with self._stream, trio.open_nursery() as writing:
                    writing.start_soon(self._outbox.run)
                    await self._serve_calls(read_already, ends_by_halves)
                    with trio.move_on_after(_DRAIN_S):
                        await self._outbox.wait_empty()
                    writing.cancel_scope.cancel()
        except* ReaderGone:
            log.debug("client gone")
        except* trio.BrokenResourceError:
            log.debug("client gone")

    def stop_reading(self) -> None:
        """Take no more requests; those under way are answered, then the connection closes."""
        self._reading.cancel()

    async def _serve_calls(self, read_already: bytes, ends_by_halves: bool) -> None:
        async with trio.open_nursery() as calls:
            self._calls = calls
            try:
                with self._reading:
                    await self._read(read_already)
            except FrameTooLarge as error:
                self._refuse(error)
                calls.cancel_scope.cancel()
                return
            if self._in_flight and not ends_by_halves and not self._reading.cancelled_caught:
                calls.cancel_scope.cancel()
            elif self._in_flight:
                calls.start_soon(self._cancel_on_hangup, calls.cancel_scope)

    async def _read(self, data: bytes) -> None:
        """Take frames until the client's end of stream, or until a started frame does not end in time."""
        deadline = float("inf")
        while True:
            data = data or await self._receive(deadline)
            if not data:
                return
            ended = await self._take_all(data)
            if not self._splitter.has_partial:
                deadline = float("inf")
            elif ended or deadline == float("inf"):
                deadline = trio.current_time() + self._limits.frame_timeout_s
            data = b""

    async def _receive(self, deadline: float) -> bytes:
        try:
            if deadline == float("inf"):
                return await self._socket.recv(_READ_BYTES)
            with trio.move_on_at(deadline):
                return await self._socket.recv(_READ_BYTES)
        except OSError as error:
            raise ReaderGone from error
        raise FrameTooLarge(f"Invalid request: frame not ended within {self._limits.frame_timeout_s:g} s")

    async def _take_all(self, data: bytes) -> bool:
        """Takes the frames in the data; tells whether one ended. A method of its own, so that the last frame
        is not held while the next is awaited.
        """
        ended = False
        for frame in self._splitter.feed(data):
            ended = True
            await self._take(frame)
        return ended

    async def _take(self, frame: bytes) -> None:
        try:
            value = decode(frame, max_depth=self._limits.depth)
        except RpcError as error:
            self._refuse(error)
            return
        if isinstance(value, list):
            self._take_batch(value)
            return
        call = _read(value)
        if isinstance(call, BoundCall):
            await self._start(call)
        else:
            self._send(call)

    async def _start(self, call: BoundCall) -> None:
        handler = self._handlers[call.row.name]
        if _is_plain(handler):
            # Answered on the spot: no task, so a ping costs what a ping should.
            self._send(await self._answer(call))
        elif self._refused_for_limits(call):
            return
        else:
            assert self._calls is not None
            self._calls.start_soon(self._run_call, call)

    def _refused_for_limits(self, call: BoundCall) -> bool:
        error: RpcError | None = None
        if self._in_flight >= self._limits.in_flight:
            error = Overloaded(
                f"Overloaded: {self._limits.in_flight} requests are in flight on this connection",
                limit="in_flight", value=self._limits.in_flight,
            )  # fmt: skip
        elif call.id is not NOTIFICATION and call.id in self._ids:
            error = InvalidRequest("Invalid request: this id is in flight already")
        if error is None:
            self._in_flight += 1
            if call.id is not NOTIFICATION:
                self._ids.add(call.id)
            return False
        if call.id is not NOTIFICATION:
            self._send(encode(error_response(call.id, error)))
        return True

    async def _run_call(self, call: BoundCall) -> None:
        try:
            frame = await self._answer(call)
            # After the last notification the call caused: the outbox keeps order.
            self._send(frame)
        finally:
            self._in_flight -= 1
            self._ids.discard(call.id)

    def _take_batch(self, entries: list[Any]) -> None:
        if not entries:
            self._refuse(InvalidRequest("Invalid request: an empty batch"))
        elif len(entries) > MAX_BATCH:
            self._refuse(InvalidRequest(f"Invalid request: a batch of more than {MAX_BATCH}"))
        elif self._in_flight >= self._limits.in_flight:
            self._refuse(Overloaded(limit="in_flight", value=self._limits.in_flight))
        else:
            self._in_flight += 1
            assert self._calls is not None
            self._calls.start_soon(self._run_batch, entries)

    async def _run_batch(self, entries: list[Any]) -> None:
        """One request in flight; its entries run one after another, so a batch multiplies nothing."""
        frames = []
        try:
            for entry in entries:
                call = _read(entry)
                frame = await self._answer(call) if isinstance(call, BoundCall) else call
                if frame is not None:
                    frames.append(frame.rstrip(b"\n"))
                await trio.lowlevel.checkpoint()
            if frames:
                self._outbox.put_nowait(b"[" + b",".join(frames) + b"]\n")
        finally:
            self._in_flight -= 1

    async def _answer(self, call: BoundCall) -> bytes | None:
        """The frame of the response, None for a notification. One of the places where anything at all is caught.

        A result that cannot be encoded fails this request like any other bug.
        """
        try:
            handler = self._handlers[call.row.name]
            try:
                result = handler(self._request, call.params)
                if not _is_plain(handler):
                    result = await result
                response = result_response(call.id, result)
            except RpcError as error:
                response = self._services.secrets.redact_value(error_response(call.id, error))
            return None if call.id is NOTIFICATION else encode(response)
        except ReaderGone:
            raise
        except Exception as error:  # noqa: BLE001 - supervision point: a bug must not end the daemon
            failed = error_response(call.id, internal_error(error, call.row.name))
        return None if call.id is NOTIFICATION else encode(failed)

    def _refuse(self, error: RpcError) -> None:
        self._send(encode(error_response(None, error)))

    def _send(self, frame: bytes | None) -> None:
        if frame is not None:
            self._outbox.put_nowait(frame)

    async def _cancel_on_hangup(self, scope: trio.CancelScope) -> None:
        poll = select.poll()
        poll.register(self._socket.fileno(), 0)  # POLLHUP and POLLERR are always reported
        while self._in_flight:
            if poll.poll(0):
                scope.cancel()
                return
            await trio.sleep(_HANGUP_CHECK_S)
