"""The wire of the socket through HTTP: a request that becomes a connection of JSON-RPC, for clients elsewhere.

    GET /rpc, Connection: Upgrade, Upgrade: agentgw-rpc  ──>  101, and from there on frames both ways

A client so has every method, notifications and cancelling by leaving, over one connection that proxies know how to
pass on. Whoever is let in by the door is trusted as the user at the socket is: the key is as good as their login.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from agentgw.remote.handshake import PROTOCOL_NAME
from agentgw_daemon.gateway.http.messages import HttpAnswer
from agentgw_daemon.gateway.http.refusal import HttpRefused
from agentgw_daemon.gateway.routing.routes import Route
from agentgw_daemon.server.connections.peer import Peer

if TYPE_CHECKING:
    import trio

    from agentgw_daemon.gateway.http.messages import HttpRequest
    from agentgw_daemon.gateway.routing.exchange import Exchange


async def rpc(exchange: Exchange) -> HttpAnswer | None:
    """Hands the connection over, until its client leaves."""
    if not _asks_for_it(exchange.request):
        raise HttpRefused(
            426, "UpgradeRequired", f"this path speaks {PROTOCOL_NAME} and no HTTP",
            hint="it is for AGENTGW_URL; other programs have /api",
            headers=(("upgrade", PROTOCOL_NAME), ("connection", "Upgrade")),
        )  # fmt: skip
    gateway = exchange.gateway
    with gateway.watching():
        peer = Peer(exchange.connection.stream, gateway.daemon, gateway.handlers)
        read_already = await exchange.connection.switch(PROTOCOL_NAME, peer.stop_reading)
        _keep_alive(exchange.connection.stream.socket)
        await peer.run(read_already, ends_by_halves=False)
    return None


def _asks_for_it(request: HttpRequest) -> bool:
    """Tells whether it asks for this protocol, alone and with nothing behind its head."""
    tokens = {token.strip().lower() for value in request.all("connection") for token in value.split(",")}
    brings_body = bool(request.all("transfer-encoding")) or request.one("content-length") not in ("", "0")
    return request.all("upgrade") == (PROTOCOL_NAME,) and "upgrade" in tokens and not brings_body


def _keep_alive(connection: trio.socket.SocketType) -> None:
    """Has the kernel notice a client whose machine is gone: it may say nothing for hours."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


RPC: Final = (
    Route(
        method="GET", path="/rpc", respond=rpc, streams=True,
        doc=f"The socket's own protocol behind `Upgrade: {PROTOCOL_NAME}`, as `AGENTGW_URL` uses it.",
    ),
)  # fmt: skip
