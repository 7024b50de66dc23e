"""A receiver of webhooks on loopback that says what the test says, and a network that leads every name to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_address

import httpcore
import trio

from agentgw_daemon.tools.web.web import Address
from agentgw_daemon.webhooks.hook import EVENTS, Hook

# The first byte of a TLS client.
_TLS_HANDSHAKE = b"\x16"
SILENCE = b"..."
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def hook(name: str = "h", url: str = "https://receiver.test/in", **more: object) -> Hook:
    fields: dict[str, object] = {"name": name, "url": url, "events": EVENTS, "line": 1, "secrets": (SECRET,)} | more
    return Hook(**fields)  # type: ignore[arg-type]  # a test says what it means


class Network:
    """Names with the addresses that the test gives them; connections are noted, and led to a port of loopback."""

    def __init__(self, port: int = 0, **names: str) -> None:
        self.names = {name.replace("_", "."): answer.split() for name, answer in names.items()}
        self.connected: list[str] = []
        self.resolved: list[str] = []
        self._port = port

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        await trio.lowlevel.checkpoint()
        self.resolved.append(host)
        return [ip_address(answer) for answer in self.names[host]]

    async def connect(self, address: Address, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
        self.connected.append(str(address))
        return await httpcore.TrioBackend().connect_tcp("127.0.0.1", self._port)


class Receiver:
    """Requests that came, and the answer that each gets: the first of `answers`, the last one again and again."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers = [reply()]
        # Somebody began a TLS handshake, or closed the connection without a whole request.
        self.greeted = trio.Event()
        self.hung_up = trio.Event()

    async def handle(self, stream: trio.SocketStream) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := await stream.receive_some(65536)):
                self.hung_up.set()
                return
            if more.startswith(_TLS_HANDSHAKE):
                self.greeted.set()
                if self.answers[0] != SILENCE:
                    await stream.send_all(self.answers[0])
                    return
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        while len(body) < int(headers["content-length"]):
            if not (more := await stream.receive_some(65536)):
                return
            body += more
        self.requests.append((headers | {"": first}, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            await stream.send_all(answer)
            if answer.endswith(SILENCE):
                await trio.sleep_forever()
        except trio.BrokenResourceError:
            # It has heard enough.
            return


def reply(status: str = "204 No Content", *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        made = Receiver(listeners[0].socket.getsockname()[1])
        nursery.start_soon(partial(trio.serve_listeners, made.handle, listeners))
        yield made
        nursery.cancel_scope.cancel()
