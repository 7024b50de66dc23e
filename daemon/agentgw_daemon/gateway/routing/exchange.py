"""One request while it is answered, as a route sees it: what it brought, the calls of the socket, and the way back."""

from __future__ import annotations

import inspect
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from agentgw.protocol.calls.turns import TurnStartParams
from agentgw.protocol.errors import InvalidParams, RpcError
from agentgw.protocol.methods import METHODS
from agentgw.protocol.records.schema import bind
from agentgw_daemon.events.delivery import ReaderGone
from agentgw_daemon.gateway.http.event_stream import BatchBytes, EventBuffer, StreamEncoding
from agentgw_daemon.gateway.http.refusal import HttpRefused, error_value
from agentgw_daemon.gateway.routing.binding import body_values, form_fields, merged, query_values
from agentgw_daemon.observability.supervision import internal_error
from agentgw_daemon.server.calls.request import RequestContext
from agentgw_daemon.server.calls.sinks import EncodedEvents, NoEvents

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from agentgw_daemon.config.settings import HttpSection, LimitsSection
    from agentgw_daemon.gateway.access.access_log import AccessLog
    from agentgw_daemon.gateway.access.sign_ins import SignIns
    from agentgw_daemon.gateway.http.connection import HttpConnection
    from agentgw_daemon.gateway.http.messages import HttpRequest
    from agentgw_daemon.gateway.pulls import Pulls
    from agentgw_daemon.server.calls.request import Handler
    from agentgw_daemon.server.calls.sinks import EventSink
    from agentgw_daemon.server.daemon import Daemon

FORM_TOKEN_FIELD: Final = "form-token"
FORM_TOKEN_HEADER: Final = "x-form-token"
# Proxies close what is silent for a minute, some for half of one.
HEARTBEAT_S: Final = 15.0


class GatewayView(Protocol):
    """The gateway as its routes see it."""

    daemon: Daemon
    nursery: trio.Nursery
    handlers: Mapping[str, Handler]
    limits: LimitsSection
    http: HttpSection
    access: AccessLog
    sign_ins: SignIns
    pulls: Pulls
    batch_bytes: BatchBytes
    requests: int
    watchers: int

    def redacted(self, value: Any) -> Any:
        """A value without anything that is secret."""

    def answering(self) -> AbstractContextManager[None]:
        """A context for the time that a request is being answered. Raises HttpRefused when there are too many."""

    def watching(self) -> AbstractContextManager[None]:
        """A context for the time that an event stream is open. Raises HttpRefused when there are too many."""


class RouteView(Protocol):
    """A route as its exchange sees it."""

    @property
    def path(self) -> str:
        """The route's path, with the names of its fields in braces."""

    @property
    def calls(self) -> str:
        """The method of the socket."""

    @property
    def names(self) -> Mapping[str, str]:
        """Other names of the method's fields."""

    @property
    def body(self) -> str:
        """See Route."""


class Exchange:
    """A request that was let in and has found its route."""

    def __init__(
        self,
        connection: HttpConnection,
        gateway: GatewayView,
        request: HttpRequest,
        route: RouteView,
        path_values: Mapping[str, str],
        session: str = "",
    ) -> None:
        """`session`: the token of the browser's session, empty where none is needed."""
        self.connection = connection
        self.session = session
        # Of a form, once its token has been looked at.
        self.fields: Mapping[str, str] = {}
        self.gateway = gateway
        self.request = request
        self.route = route
        self.path_values = path_values

    async def values(self) -> dict[str, Any]:
        """Path, query and JSON body under the names of the method's fields. Raises RpcError or HttpRefused."""
        if self.route.body == "none" and self.request.method != "DELETE":
            return self.head_values()
        return self.head_values(await self.body())

    async def body(self) -> dict[str, Any]:
        """The object of a JSON body as it is, without one an empty one. Raises RpcError or HttpRefused."""
        limits = self.gateway.limits
        body = await self.connection.read_body(limits.max_message_bytes, "limits.max_message_bytes")
        return body_values(body, max_depth=limits.depth) if body else {}

    def head_values(self, *more: Mapping[str, Any]) -> dict[str, Any]:
        """The values of path and query, and of what came with them."""
        route = self.route
        query = query_values(self.request.query, METHODS[route.calls].params, route.names)
        return merged((self.path_values, query, *more), route.names)

    async def read_form(self) -> None:
        """Take in what a page of our own sends: `fields`, or a body to be read. Raises HttpRefused for all else.

        Browsers tell the origin of whatever changes something, and only our own pages know the token.
        """
        token = self.request.one(FORM_TOKEN_HEADER)
        if self.route.body == "form":
            limits = self.gateway.limits
            body = await self.connection.read_body(limits.max_message_bytes, "limits.max_message_bytes")
            fields = form_fields(body)
            token = fields.pop(FORM_TOKEN_FIELD, "") or token
            self.fields = fields
        if not self.request.all("origin"):
            raise _no_form_of_ours("it tells no origin")
        if not self.gateway.sign_ins.is_form_token(token, self.session):
            raise _no_form_of_ours("its token is missing or old")

    @property
    def form_token(self) -> str:
        """The token that forms of this page bring along."""
        return self.gateway.sign_ins.form_token(self.session)

    @property
    def is_fragment(self) -> bool:
        """Tells whether a script of ours asks for a piece of a page."""
        return self.request.one("hx-request") == "true"

    async def params(self) -> Any:
        """The method's parameters, from the request's values."""
        return self.bound(await self.values())

    def bound(self, values: Mapping[str, Any]) -> Any:
        """Values as the parameters of the route's method. Raises InvalidParams."""
        return bind(METHODS[self.route.calls].params, values)

    async def call(self, method: str, params: Any) -> Any:
        """The result of the method, as over the socket; ends when the client leaves. Raises RpcError or
        ReaderGone.
        """
        return await self.connection.while_connected(self.call_into, method, params, NoEvents())

    async def call_into(self, method: str, params: Any, sink: EventSink) -> Any:
        """The same, with its events given to `sink`; it does not end when the client leaves. Raises RpcError."""
        with ExitStack() as subscriptions:
            context = RequestContext(self.gateway.daemon, sink, subscriptions)
            result = self.gateway.handlers[method](context, params)
            return await result if inspect.isawaitable(result) else result

    def turn_params(self, values: Mapping[str, Any]) -> TurnStartParams:
        """Parameters of a turn that a page begins. Raises InvalidParams."""
        return bind(TurnStartParams, {name: value for name, value in values.items() if value is not None})

    async def stream(self, method: str, params: Any, encoding: StreamEncoding) -> None:
        """The method's events as they come, then its result or its error.

        What goes wrong before the first event is raised, so that it can be answered with a status of its own.
        """
        with self.gateway.watching():
            await self.connection.while_connected(self._stream, method, params, encoding)

    async def _stream(self, method: str, params: Any, encoding: StreamEncoding) -> None:
        buffer = EventBuffer()
        failed: list[RpcError] = []
        gone: ReaderGone | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fill, method, params, encoding, buffer, failed)
            with trio.move_on_after(HEARTBEAT_S):
                await buffer.wait()
            try:
                if not (failed and buffer.finished):
                    await self._send_events(buffer, encoding)
            except ReaderGone as error:
                gone = error
                nursery.cancel_scope.cancel()
        # Out here, because the nursery would wrap them up.
        if gone is not None:
            raise gone
        if failed and not self.connection.answering:
            raise failed[0]

    async def _fill(
        self, method: str, params: Any, encoding: StreamEncoding, buffer: EventBuffer, failed: list[RpcError]
    ) -> None:
        try:
            result = await self.call_into(method, params, EncodedEvents(encoding, buffer))
        except RpcError as error:
            failed.append(error)
        except Exception as error:  # noqa: BLE001  # supervision point: a bug ends this stream and nothing else
            failed.append(internal_error(error, self.route.path))
        if not failed:
            buffer.end(encoding.result(result))
        elif self.connection.answering or buffer.has_events:
            buffer.end(encoding.failure(self.gateway.redacted(error_value(failed[0]))))
        else:
            buffer.end(b"")

    async def _send_events(self, buffer: EventBuffer, encoding: StreamEncoding) -> None:
        connection = self.connection
        send_now = connection.send_piece_now if encoding.is_finished else None
        await connection.start_stream(encoding.content_type)
        is_silent = not buffer.has_events
        while not buffer.finished:
            taken = buffer.take()
            if taken or is_silent:
                await connection.send_piece(await encoding.finished(taken) if taken else encoding.heartbeat)
            else:
                await connection.flush()
            with trio.move_on_after(HEARTBEAT_S) as silence:
                await buffer.wait(send_now)
            is_silent = silence.cancelled_caught
        await connection.end_stream()

    def last_event_id(self) -> int:
        """The number of the last event that the client has seen, 0 for none. Raises InvalidParams."""
        given = self.request.all("last-event-id")
        text = given[0].strip() if given else ""
        if not text and len(given) < 2:
            return 0
        if len(given) > 1 or not text.isascii() or not text.isdigit() or len(text) > 15:
            raise InvalidParams(
                "Invalid params: Last-Event-ID must be the number of an event", path="Last-Event-ID",
                reason="must be a number",
            )  # fmt: skip
        return int(text)


def _no_form_of_ours(why: str) -> HttpRefused:
    return HttpRefused(403, "FormRefused", f"this form is not of a page of ours: {why}", hint="load the page anew")
