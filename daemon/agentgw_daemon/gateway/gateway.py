"""The gateway: connections of all doors, what is let in, and how each request is answered."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVarTuple

import trio

from agentgw.protocol.errors import LocalError, RpcError
from agentgw_daemon.events.delivery import ReaderGone
from agentgw_daemon.gateway.access.access_log import AccessLog
from agentgw_daemon.gateway.access.admission import KEYLESS_PATH, admit, allowed_origin_headers, has_key, key_refused
from agentgw_daemon.gateway.access.cookie import session_of
from agentgw_daemon.gateway.access.sign_ins import SignIns
from agentgw_daemon.gateway.doors import OpenDoor
from agentgw_daemon.gateway.http.connection import HttpConnection
from agentgw_daemon.gateway.http.door import Door
from agentgw_daemon.gateway.http.event_stream import BatchBytes
from agentgw_daemon.gateway.http.messages import HttpAnswer, HttpRequest, is_json
from agentgw_daemon.gateway.http.refusal import HttpRefused, error_answer, refused_answer
from agentgw_daemon.gateway.pages.preparing import prepare_pages
from agentgw_daemon.gateway.pages.problems import failed_page, is_for_a_person, refused_page
from agentgw_daemon.gateway.pages.rendering.templates import in_page_thread
from agentgw_daemon.gateway.pulls import Pulls
from agentgw_daemon.gateway.routing.exchange import Exchange
from agentgw_daemon.gateway.routing.routes import Route, RouteTable
from agentgw_daemon.observability.supervision import internal_error, supervised
from agentgw_daemon.server.listener import Listener

if TYPE_CHECKING:
    from agentgw_daemon.gateway.http_name import HttpName
    from agentgw_daemon.server.calls.request import Handler
    from agentgw_daemon.server.daemon import Daemon

Ts = TypeVarTuple("Ts")

# A page of another site can send these without asking beforehand.
_FORM_TYPES: Final = ("", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
# As the daemon's own socket is looked at.
GUARD_INTERVAL_S: Final = 5.0
_TOO_MANY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n\r\n"
    b'{"error":{"code":503,"name":"TooManyConnections","message":"too many connections are open"}}\n'
)

log = logging.getLogger(__name__)


class Gateway:
    """One daemon's HTTP. Settings hold from its start to its end."""

    def __init__(
        self,
        daemon: Daemon,
        handlers: Mapping[str, Handler],
        routes: RouteTable,
        sign_ins: SignIns,
        nursery: trio.Nursery,
    ) -> None:
        """`nursery`: of its connections, and of turns that pages begin."""
        settings = daemon.services.settings
        self.daemon = daemon
        self.nursery = nursery
        self.handlers = handlers
        self.routes = routes
        self.limits = settings.limits
        self.http = settings.http
        self.access = AccessLog()
        self.sign_ins = sign_ins
        self.pulls = Pulls()
        self.batch_bytes = BatchBytes()
        self.requests = 0
        self.watchers = 0
        self._connections: set[HttpConnection] = set()
        self._closing: list[trio.CancelScope] = []

    async def open(self, opened: OpenDoor) -> None:
        """Serve a door. Returns when it accepts."""
        # Strangers may fill the port's share of connections, never that of the socket.
        listener = Listener(
            max_connections=self.http.requests + self.http.watchers, strangers=opened.door.name == "tcp",
            refusal=_TOO_MANY,
        )  # fmt: skip

        async def serve(stream: trio.SocketStream) -> None:
            await self.serve(stream, opened.door)

        self._closing.append(await self.nursery.start(listener.run, opened.listening, serve, self.nursery))

    def guard(self, name: HttpName, door: Door) -> None:
        """Have the name published again, with this door behind it, whenever it is gone; ends with `close`."""
        self._until_closed("guarding http.sock", self._guard, name, door)

    def prepare(self) -> None:
        """Have what pages need loaded; ends with `close`."""
        self._until_closed("loading pages", in_page_thread, prepare_pages)

    async def _guard(self, name: HttpName, door: Door) -> None:
        while True:
            await trio.sleep(GUARD_INTERVAL_S)
            if not name.is_missing:
                continue
            try:
                listening = name.publish()
            except LocalError as error:
                log.warning("the socket %s cannot be published again: %s", name.path, error)
                continue
            log.warning("the socket %s was gone: published again", name.path)
            # Clients may still wait in the backlog of the old one.
            await self.open(OpenDoor(listening=listening, door=door))

    def _until_closed(self, doing: str, run: Callable[[*Ts], Awaitable[object]], *args: *Ts) -> None:
        scope = trio.CancelScope()
        self._closing.append(scope)

        async def in_scope() -> None:
            with scope:
                await run(*args)

        self.nursery.start_soon(supervised, doing, in_scope)

    async def serve(self, stream: trio.SocketStream, door: Door) -> None:
        """Serve one connection to its end."""
        connection = HttpConnection(stream, door, self)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.remove(connection)

    def close(self) -> None:
        """Accept nothing more and take no more requests; answers under way still leave."""
        for scope in self._closing:
            scope.cancel()
        for connection in self._connections:
            connection.close()

    async def answer(self, connection: HttpConnection, door: Door, request: HttpRequest) -> None:
        """Answer one request, whatever it is. Raises ReaderGone."""
        connection.add_headers(allowed_origin_headers(request, door))
        try:
            session = self._session(connection, door, request)
            answer = admit(request, door, signed_in=bool(session))
            answer = answer or await self._routed(connection, door, request, session)
        except HttpRefused as refused:
            answer = self._refused(request, refused)
        except RpcError as error:
            answer = self._failed(request, error)
        except ReaderGone:
            raise
        except Exception as error:  # noqa: BLE001  # supervision point: a bug must not end the daemon
            answer = self._failed(request, internal_error(error, f"{request.method} {connection.route}"))
        if answer is not None:
            if connection.answering:
                # It has begun, so there is no way left to say that it went wrong.
                raise ReaderGone
            await connection.send(answer)

    def _session(self, connection: HttpConnection, door: Door, request: HttpRequest) -> str:
        """The token of the browser's session, empty where it has none or the door asks for nothing."""
        token = session_of(request)
        if door.key_digest is None or not self.sign_ins.knows(token) or connection.is_strangers():
            return ""
        return token

    async def _routed(
        self, connection: HttpConnection, door: Door, request: HttpRequest, session: str
    ) -> HttpAnswer | None:
        found = self.routes.find(request)
        route = found.route
        if session and not (route.page or route.path == KEYLESS_PATH or has_key(request, door)):
            raise key_refused()
        connection.route = route.path
        _check_type(request, route)
        exchange = Exchange(connection, self, request, route, found.values, session)
        connection.is_piece = route.page and route.method == "GET" and exchange.is_fragment
        if route.streams or route.path == KEYLESS_PATH:
            return await route.respond(exchange)
        with self.answering():
            if route.page and route.method != "GET":
                await exchange.read_form()
            return await route.respond(exchange)

    def _refused(self, request: HttpRequest, refused: HttpRefused) -> HttpAnswer:
        if is_for_a_person(request):
            return refused_page(request, refused)
        return refused_answer(refused)

    def _failed(self, request: HttpRequest, error: RpcError) -> HttpAnswer:
        if is_for_a_person(request):
            return failed_page(request, error, self.daemon.services.secrets)
        return error_answer(error, self.daemon.services.secrets)

    def redacted(self, value: Any) -> Any:
        """A value without anything that is secret."""
        return self.daemon.services.secrets.redact_value(value)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """A context for the time that a request is being answered. Raises HttpRefused when there are too many."""
        if self.requests >= self.http.requests:
            raise _busy(f"{self.http.requests} requests are being answered", "http.requests")
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    @contextmanager
    def watching(self) -> Iterator[None]:
        """A context for the time that an event stream is open. Raises HttpRefused when there are too many."""
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
            sent_bytes=connection.sent_bytes, took_s=took_s, quiet=connection.is_piece,
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
    if route.body == "form":
        if types != [_FORM_TYPES[1]]:
            raise HttpRefused(415, "TypeRefused", "this takes a form")
        return
    if is_json(request):
        return
    if route.body == "upload" and len(types) == 1 and types[0] not in _FORM_TYPES:
        return
    other = "; a document as application/octet-stream" if route.body == "upload" else ""
    raise HttpRefused(415, "TypeRefused", "the body must be JSON", hint=f"send `Content-Type: application/json`{other}")
