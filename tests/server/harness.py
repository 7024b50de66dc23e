"""A peer on one end of a real socket pair, with handlers of the test's choosing, and a raw client on the other."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import trio

from agentgw_daemon.config.settings import LimitsSection, Settings
from agentgw_daemon.events.hub import EventHub
from agentgw_daemon.server.calls.request import Handler
from agentgw_daemon.server.connections.peer import Peer
from agentgw_daemon.server.daemon import Daemon
from tests.fakes import part_of, services_with
from tests.patience import PATIENCE_S

# The reply to a ping of the id 1.
PONG = {"jsonrpc": "2.0", "id": 1, "result": "pong"}


class RawClient:
    """Bytes out, JSON values in."""

    def __init__(self, raw: socket.socket) -> None:
        raw.setblocking(False)
        self.stream = trio.SocketStream(trio.socket.from_stdlib_socket(raw))
        self._pending = b""

    async def send(self, *messages: Any) -> None:
        await self.stream.send_all(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    async def receive(self) -> Any:
        """The next message; None at the end of the stream."""
        while b"\n" not in self._pending:
            data = await self.stream.receive_some(65536)
            if not data:
                return None
            self._pending += data
        line, self._pending = self._pending.split(b"\n", 1)
        return json.loads(line)

    async def ask(self, method: str, request_id: Any = 1, **params: Any) -> Any:
        await self.send({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
        return await self.receive()

    async def rest(self) -> list[Any]:
        """Everything up to the end of the stream; a reset counts as the end."""
        made = []
        try:
            while (message := await self.receive()) is not None:
                made.append(message)
        except trio.BrokenResourceError:
            return made
        return made


@asynccontextmanager
async def connected(handlers: Mapping[str, Handler], **limits: Any) -> AsyncIterator[RawClient]:
    """A client of a peer that runs these handlers. The peer must end by itself once the client has."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    services = services_with(Settings(limits=LimitsSection(**limits)), hub=EventHub())
    peer = Peer(trio.SocketStream(trio.socket.from_stdlib_socket(theirs)), part_of(Daemon, services=services), handlers)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.run)
            client = RawClient(ours)
            async with client.stream:
                yield client
