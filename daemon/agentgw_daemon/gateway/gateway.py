"""The gateway: connections of all doors, what is let in, and how each request is answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import trio

from agentgw.protocol.errors import RpcError
from agentgw_daemon.events.delivery import ReaderGone
from agentgw_daemon.gateway.access.access_log import AccessLog
from agentgw_daemon.gateway.access.admission import KEYLESS_PATH, Door, admit, allowed_origin_headers
from agentgw_daemon.gateway.exchange import Exchange
from agentgw_daemon.gateway.http.connection import HttpConnection
from agentgw_daemon.gateway.http.messages import HttpAnswer, HttpRequest, is_json
from agentgw_daemon.gateway.http.refusal import HttpRefused, error_answer, refused_answer
from agentgw_daemon.gateway.routing.routes import Route, RouteTable
from agentgw_daemon.observability.supervision import internal_error
from agentgw_daemon.server.listener import Listener

if TYPE_CHECKING:
    from agentgw_daemon.gateway.doors import OpenDoor
    from agentgw_daemon.server.daemon import Daemon
    from agentgw_daemon.server.request import Handler

# A page of another site can send these without asking beforehand.
_FORM_TYPES: Final = ("", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
_TOO_MANY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n\r\n"
    b'{"error":{"code":503,"name":"TooManyConnections","message":"too many connections are open"}}\n'
)


class Gateway:
    """One daemon's HTTP. Settings hold from its start to its end."""

    def __init__(self, daemon: Daemon, handlers: Mapping[str, Handler], routes: RouteTable) -> None:
        settings = daemon.services.settings
        self.daemon = daemon
        self.handlers = handlers
        self.routes = routes
        self.limits = settings.limits
        self.http = settings.http
        self.access = AccessLog()
        self.requests = 0
        self.watchers = 0
        self._connections: set[HttpConnection] = set()
        self._accepting: list[trio.CancelScope] = []

    async def open(self, opened: OpenDoor, nursery: trio.Nursery) -> None:
        """Serve a door in this nursery. Returns when it accepts."""
        # Strangers may fill the port's share of connections, never that of the socket.
        listener = Listener(
            max_connections=self.http.requests + self.http.watchers, strangers=opened.door.name == "tcp",
            refusal=_TOO_MANY,
        )  # fmt: skip

        async def serve(stream: trio.SocketStream) -> None:
            await self.serve(stream, opened.door)

        self._accepting.append(await nursery.start(listener.run, opened.listening, serve, nursery))

    async def serve(self, stream: trio.SocketStream, door: Door) -> None:
        """One connection, to its end."""
        connection = HttpConnection(stream, door, self)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.remove(connection)

    def close(self) -> None:
        """Accept nothing more and take no more requests; answers under way still leave."""
        for scope in self._accepting:
            scope.cancel()
        for connection in self._connections:
            connection.close()

    async def answer(self, connection: HttpConnection, door: Door, request: HttpRequest) -> None:
        """Answer one request, whatever it is. Raises ReaderGone."""
        connection.add_headers(allowed_origin_headers(request, door))
        try:
            answer = admit(request, door) or await self._routed(connection, request)
        except HttpRefused as refused:
            answer = refused_answer(refused)
        except RpcError as error:
            answer = self._failed(error)
        except ReaderGone:
            raise
        except Exception as error:  # noqa: BLE001  # supervision point: a bug must not end the daemon
            answer = self._failed(internal_error(error, f"{request.method} {connection.route}"))
        if answer is not None:
            if connection.answering:
                # It has begun, so there is no way left to say that it went wrong.
                raise ReaderGone
            await connection.send(answer)

    async def _routed(self, connection: HttpConnection, request: HttpRequest) -> HttpAnswer | None:
        found = self.routes.find(request)
        connection.route = found.route.path
        _check_type(request, found.route)
        exchange = Exchange(connection, self, request, found)
        if found.route.streams or found.route.path == KEYLESS_PATH:
            return await found.route.respond(exchange)
        with self.answering():
            return await found.route.respond(exchange)

    def _failed(self, error: RpcError) -> HttpAnswer:
        return error_answer(error, self.daemon.services.secrets)

    def redacted(self, value: Any) -> Any:
        """A value without anything that is secret."""
        return self.daemon.services.secrets.redact_value(value)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """While a request is being answered. Raises HttpRefused when there are too many."""
        if self.requests >= self.http.requests:
            raise _busy(f"{self.http.requests} requests are being answered", "http.requests")
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While an event stream is open. Raises HttpRefused when there are too many."""
        if self.watchers >= self.http.watchers:
            raise _busy(f"{self.http.watchers} event streams are open", "http.watchers")
        self.watchers += 1
        try:
            yield
        finally:
            self.watchers -= 1

    def note(self, connection: HttpConnection, door: Door, took_s: float) -> None:
        """Log and count a request that has been answered, or was left by its client."""
        method = connection.request.method if connection.request is not None else "-"
        self.access.note(
            door=door.name, method=method, route=connection.route, status=connection.status,
            sent_bytes=connection.sent_bytes, took_s=took_s,
        )  # fmt: skip


def _busy(what: str, setting: str) -> HttpRefused:
    return HttpRefused(
        429, "Overloaded", what, hint=f"try again in a moment; {setting} allows more", headers=(("retry-after", "1"),)
    )


def _check_type(request: HttpRequest, route: Route) -> None:
    """Raises HttpRefused for a body that another site's page could have sent, and for one that cannot be read."""
    types = [value.partition(";")[0].strip().lower() for value in request.all("content-type")]
    brings_body = bool(request.all("transfer-encoding")) or request.one("content-length") not in ("", "0")
    if request.one("content-encoding") not in ("", "identity"):
        raise HttpRefused(415, "TypeRefused", "a compressed body is not read", hint="send it as it is")
    if route.method == "GET" or (route.method == "DELETE" and not brings_body):
        return
    if is_json(request):
        return
    if route.body == "upload" and len(types) == 1 and types[0] not in _FORM_TYPES:
        return
    other = "; a document as application/octet-stream" if route.body == "upload" else ""
    raise HttpRefused(415, "TypeRefused", "the body must be JSON", hint=f"send `Content-Type: application/json`{other}")
