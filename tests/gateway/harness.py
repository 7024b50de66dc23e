"""A gateway in this process with handlers of the test's choosing, and raw clients of its doors."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

import h11
import trio

from agentgw.protocol.events import ChatDelta
from agentgw_daemon.config.settings import HttpSection, LimitsSection, Settings
from agentgw_daemon.gateway.access.admission import digest_of
from agentgw_daemon.gateway.access.sign_ins import SignIns
from agentgw_daemon.gateway.gateway import Gateway
from agentgw_daemon.gateway.http.door import Door
from agentgw_daemon.gateway.routing.routes import RouteTable
from agentgw_daemon.gateway.serving import ROUTES
from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.server.calls.request import Handler, RequestContext
from agentgw_daemon.server.daemon import Daemon
from agentgw_daemon.text.secrets import Secrets
from tests.fakes import part_of, services_with

KEY = "k-0123456789abcdef0123456789abcdef"
PORT = 8080
HOST = f"127.0.0.1:{PORT}"
UNIX = Door(name="unix")
TCP = Door(
    name="tcp", hosts=frozenset((HOST, f"localhost:{PORT}", f"[::1]:{PORT}")), key_digest=digest_of(KEY),
    origins=frozenset(("https://app.example",)),
)  # fmt: skip


@dataclass(kw_only=True)
class Reply:
    """An answer as a client reads it."""

    status: int
    headers: dict[str, str]
    body: bytes
    closes: bool

    @property
    def json(self) -> Any:
        """The body as a JSON value."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The name of the error in the body."""
        return str(self.json["error"]["name"])


class HttpClient:
    """One connection of a client."""

    def __init__(self, raw: socket.socket) -> None:
        raw.setblocking(False)
        self.stream = trio.SocketStream(trio.socket.from_stdlib_socket(raw))
        self._http = h11.Connection(h11.CLIENT)
        self._asked = "GET"

    async def ask(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"",
        value: Any = None, host: str | None = HOST,
    ) -> Reply:  # fmt: skip
        """A well-formed request and its whole answer; `value` is sent as JSON."""
        await self.send(method, target, headers=headers, body=body, value=value, host=host)
        return await self.reply(method)

    async def send(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"",
        value: Any = None, host: str | None = HOST,
    ) -> None:  # fmt: skip
        """The request alone."""
        lines = [] if host is None else [("Host", host)]
        lines += list((headers or {}).items())
        if value is not None:
            body = json.dumps(value).encode()
            lines.append(("Content-Type", "application/json"))
        if body:
            lines.append(("Content-Length", str(len(body))))
        head = "".join(f"{name}: {text}\r\n" for name, text in lines)
        await self.stream.send_all(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)

    async def reply(self, method: str = "GET") -> Reply:
        """The next answer, to its end."""
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        # h11 wants to have sent what is answered; what was sent is the test's affair.
        self._http.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        self._http.send(h11.EndOfMessage())
        response = await self._event()
        while isinstance(response, h11.InformationalResponse):
            response = await self._event()
        assert isinstance(response, h11.Response), response
        body = b""
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
        headers = {name.decode(): text.decode() for name, text in response.headers}
        closes = self._http.their_state is not h11.DONE
        return Reply(status=response.status_code, headers=headers, body=body, closes=closes)

    async def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self.stream.receive_some(65536))
        return event

    async def send_some(self, data: bytes) -> None:
        """Raw bytes, as many of them as the other side takes before it ends."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.stream.send_all(data)

    async def until(self, wanted: bytes) -> bytes:
        """Raw bytes up to and with `wanted`."""
        said = b""
        while wanted not in said:
            part = await self.stream.receive_some(65536)
            assert part, said
            said += part
        return said

    async def rest(self) -> bytes:
        """Raw bytes up to the end of the stream."""
        said = b""
        try:
            while part := await self.stream.receive_some(65536):
                said += part
        except trio.BrokenResourceError:
            return said
        return said


@dataclass
class OpenGateway:
    """A gateway that serves, and where clients of it come from."""

    gateway: Gateway
    nursery: trio.Nursery
    clients: list[HttpClient] = field(default_factory=list)

    def client(self, door: Door = UNIX) -> HttpClient:
        """A new connection through this door."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
        self.nursery.start_soon(supervised, "serving a connection", self.gateway.serve, stream, door)
        made = HttpClient(ours)
        self.clients.append(made)
        return made


async def flood(request: RequestContext, params: object) -> NoReturn:
    """A handler that sends notifications for as long as somebody takes them."""
    while True:
        await request.events.notify(ChatDelta(text="x" * 1000))


@asynccontextmanager
async def opened(
    handlers: Mapping[str, Handler],
    *,
    http: HttpSection | None = None,
    secrets: Secrets | None = None,
    fail_after_s: float = 20,
    routes: RouteTable = ROUTES,
    **limits: Any,
) -> AsyncIterator[OpenGateway]:
    """A gateway with these handlers, and the routes of the product unless others are given."""
    settings = Settings(limits=LimitsSection(**limits), http=http or HttpSection())
    daemon = part_of(Daemon, services=services_with(settings, secrets))
    with trio.fail_after(fail_after_s):
        async with trio.open_nursery() as nursery:
            made = OpenGateway(Gateway(daemon, handlers, routes, SignIns(), nursery), nursery)
            try:
                yield made
            finally:
                for client in made.clients:
                    await trio.aclose_forcefully(client.stream)
                nursery.cancel_scope.cancel()


def with_key(**headers: str) -> dict[str, str]:
    """Headers of a client that has the key."""
    return {"Authorization": f"Bearer {KEY}", **headers}
