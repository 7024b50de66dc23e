"""The listening sockets and the connections behind them."""

from __future__ import annotations

import socket

import trio

from agentgw_daemon.server.connections.peer import Peer
from agentgw_daemon.server.daemon import Daemon
from agentgw_daemon.server.handlers import HANDLERS


class ConnectionServer:
    """The listener and the connections behind it."""

    def __init__(self, daemon: Daemon, nursery: trio.Nursery) -> None:
        self._daemon = daemon
        self._nursery = nursery
        self._peers: set[Peer] = set()
        self._accepting: list[trio.CancelScope] = []

    async def open(self, listening: socket.socket) -> None:
        """Accept on this socket too: clients may still wait in an earlier one's backlog. Returns when it accepts."""
        self._accepting.append(
            await self._nursery.start(self._daemon.listener.run, listening, self._serve, self._nursery)
        )

    async def _serve(self, stream: trio.SocketStream) -> None:
        peer = Peer(stream, self._daemon, HANDLERS)
        self._peers.add(peer)
        try:
            await peer.run()
        finally:
            self._peers.remove(peer)

    def close(self) -> None:
        """Accept nothing more and read nothing more; replies under way still leave."""
        for scope in self._accepting:
            scope.cancel()
        for peer in self._peers:
            peer.stop_reading()
