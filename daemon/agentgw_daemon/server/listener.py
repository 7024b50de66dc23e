"""Accepts connections: counts them, checks who is calling, and survives running out of descriptors."""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from agentgw_daemon.observability.supervision import supervised

log = logging.getLogger(__name__)

Serve = Callable[[trio.SocketStream], Awaitable[None]]

# struct ucred of unix(7): pid, uid, gid.
_UCRED: Final = struct.Struct("3i")
# xucred of macOS: version, uid, number of groups, 16 groups. LOCAL_PEERCRED is 1 at level 0.
_XUCRED: Final = struct.Struct("2Ih16I")
# accept() fails like this when a process or the system has no descriptors left.
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
_EXHAUSTED_WAIT_S: Final = 0.1
# Keeps the loop from spinning should accept() never get well again.
_REFUSED_WAIT_S: Final = 0.01


def peer_uid(connection: socket.socket | trio.socket.SocketType) -> int:
    """User id of the other end at the time it connected, from the kernel."""
    if sys.platform == "darwin":
        raw = connection.getsockopt(0, 1, _XUCRED.size)
        return int(_XUCRED.unpack(raw)[1])
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(raw)[1])


class Listener:
    """The accept loop of one listening socket.

    `run` serves one task a connection in the nursery it was given; more than `max_connections` at once are
    told so and closed.
    """

    def __init__(self, *, max_connections: int, refusal: bytes, strangers: bool = False) -> None:
        """`refusal`: said to who is one too many. With `strangers` anybody may connect, as over TCP."""
        self._max_connections = max_connections
        self._strangers = strangers
        self._refusal = refusal
        self.connections = 0
        # All there ever were.
        self.accepted = 0
        # The system gives the lowest free number, so that of a new one tells how many are open.
        self.descriptors_peak = 0
        # Connections closed since descriptors ran out; None while there are some.
        self._shed_count: int | None = None

    async def run(
        self, listening: socket.socket, serve: Serve, nursery: trio.Nursery,
        task_status: trio.TaskStatus[trio.CancelScope],
    ) -> None:  # fmt: skip
        """Accept until cancelled; the socket is closed then. Gives the scope that ends it once it accepts."""
        listening.setblocking(False)
        accepting = trio.socket.from_stdlib_socket(listening)
        spare = _Spare()
        try:
            with trio.CancelScope() as scope:
                task_status.started(scope)
                while True:
                    try:
                        connection, _ = await accepting.accept()
                    except OSError as error:
                        if error.errno in _EXHAUSTED:
                            await self._shed(accepting, spare)
                        else:
                            # The client gave up while it waited (accept(2) has a list); the next one may not.
                            log.debug("a connection was not accepted: %s", error)
                            await trio.sleep(_REFUSED_WAIT_S)
                        continue
                    self._note_relief()
                    self.accepted += 1
                    self.descriptors_peak = max(self.descriptors_peak, connection.fileno() + 1)
                    self._admit(connection, serve, nursery)
        finally:
            accepting.close()
            spare.close()

    def _admit(self, connection: trio.socket.SocketType, serve: Serve, nursery: trio.Nursery) -> None:
        if not self._strangers and not _is_ours(connection):
            connection.close()
            return
        stream = trio.SocketStream(connection)
        if self.connections >= self._max_connections:
            nursery.start_soon(supervised, "turning a client away", _turn_away, stream, self._refusal)
            return
        self.connections += 1
        nursery.start_soon(supervised, "serving a connection", self._run_one, stream, serve)

    async def _run_one(self, stream: trio.SocketStream, serve: Serve) -> None:
        try:
            await serve(stream)
        finally:
            self.connections -= 1

    async def _shed(self, accepting: trio.socket.SocketType, spare: _Spare) -> None:
        """Closes a waiting connection with the spare descriptor when there are none, which beats leaving it
        in limbo.
        """
        if self._shed_count is None:
            self._shed_count = 0
            log.warning("out of file descriptors; closing new connections")
        spare.close()
        with trio.move_on_after(_EXHAUSTED_WAIT_S):
            try:
                connection, _ = await accepting.accept()
                connection.close()
                self._shed_count += 1
            except OSError:
                await trio.sleep(_EXHAUSTED_WAIT_S)
        spare.open()

    def _note_relief(self) -> None:
        if self._shed_count is not None:
            log.warning("file descriptors again; %d connections were closed", self._shed_count)
            self._shed_count = None


class _Spare:
    """A descriptor in reserve, freed when there are no others."""

    def __init__(self) -> None:
        self._fd = -1
        self.open()

    def open(self) -> None:
        if self._fd < 0:
            try:
                self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                self._fd = -1

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _is_ours(connection: trio.socket.SocketType) -> bool:
    try:
        uid = peer_uid(connection)
    except OSError as error:
        log.debug("a client left before it was asked who it is: %s", error)
        return False
    if uid != os.geteuid():
        log.warning("peer uid %d refused", uid)
        return False
    return True


async def _turn_away(stream: trio.SocketStream, refusal: bytes) -> None:
    async with stream:
        with trio.move_on_after(1):
            try:
                await stream.send_all(refusal)
            except trio.BrokenResourceError:
                log.debug("turned away a client that had left")
