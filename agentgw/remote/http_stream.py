"""A connection to a daemon's HTTP, with TLS for https, handed over once it speaks the wire of the socket."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time

from agentgw.protocol.errors import ConfigRefused, DaemonUnreachable
from agentgw.remote.handshake import Handshake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from agentgw.remote.address import RemoteAddress

CONNECT_TIMEOUT_S: Final = 10.0
# From the first byte to the answer, TLS included.
HANDSHAKE_TIMEOUT_S: Final = 20.0
_READ_BYTES: Final = 16 << 10


class TlsStream:
    """A TLS connection that `select` tells the truth about: no byte stays behind in the TLS layer."""

    __slots__ = ("_socket",)

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._socket = connection

    def settimeout(self, timeout_s: float | None) -> None:
        """Limits each wait."""
        self._socket.settimeout(timeout_s)

    def recv(self, size: int) -> bytes:
        """All that is here, or after a wait the first that comes; nothing at the end. Raises as a socket does."""
        try:
            data = self._socket.recv(size)
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        while pending := self._socket.pending():
            data += self._socket.recv(pending)
        return data

    def send(self, data: bytes) -> int:
        """Sends the beginning of the data; gives how much that was. Raises as a socket does."""
        try:
            return self._socket.send(data)
        except ssl.SSLWantWriteError:
            raise BlockingIOError from None

    def sendall(self, data: bytes) -> None:
        """Sends all of the data."""
        self._socket.sendall(data)

    def fileno(self) -> int:
        """The descriptor, to wait on."""
        return self._socket.fileno()

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()


def connect_http(address: RemoteAddress, key: str, *, plain: bool) -> TlsStream | socket.socket:
    """A connection that speaks frames. Without TLS the other end is this machine, unless `plain` allows others.

    Raises DaemonUnreachable and ConfigRefused.
    """
    connection = _connect(address, plain=plain)
    made: TlsStream | socket.socket = connection
    try:
        connection.settimeout(HANDSHAKE_TIMEOUT_S)
        if address.scheme == "https":
            made = TlsStream(_context().wrap_socket(connection, server_hostname=address.name))
        _shake_hands(made, Handshake(address, key))
        made.settimeout(None)
    except ssl.SSLCertVerificationError as error:
        made.close()
        raise DaemonUnreachable(
            f"{address}: its certificate is not trusted ({error.verify_message})",
            hint="for an authority of your own set SSL_CERT_FILE",
        ) from None
    except OSError as error:
        made.close()
        raise _unreachable(address, error) from None
    except BaseException:
        made.close()
        raise
    return made


def _connect(address: RemoteAddress, *, plain: bool) -> socket.socket:
    try:
        connection = socket.create_connection((address.name, address.port), timeout=CONNECT_TIMEOUT_S)
    except (OSError, UnicodeError) as error:
        raise _unreachable(address, error) from None
    try:
        # Judged by where it leads, not by its name, and before anything is sent.
        if address.scheme == "http" and not plain and not _is_loopback(connection):
            raise ConfigRefused(
                f"{address} would send the key and all that is said unencrypted to another machine",
                hint="take https:// or ssh://; AGENTGW_PLAIN_HTTP=1 allows it in a network that you trust",
            )
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A turn may be silent for minutes while the other machine is gone.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except OSError as error:
        connection.close()
        raise _unreachable(address, error) from None
    except ConfigRefused:
        connection.close()
        raise
    return connection


def _is_loopback(connection: socket.socket) -> bool:
    found = ipaddress.ip_address(connection.getpeername()[0].partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _shake_hands(connection: TlsStream | socket.socket, handshake: Handshake) -> None:
    deadline = time.monotonic() + HANDSHAKE_TIMEOUT_S
    connection.sendall(handshake.request)
    while True:
        # At least a moment: 0 would mean a socket that does not wait at all.
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        rest = handshake.feed(connection.recv(_READ_BYTES))
        if rest is None:
            continue
        if rest:
            # It speaks only when it was asked.
            raise ConnectionAbortedError
        return


def _unreachable(address: RemoteAddress, error: OSError | UnicodeError) -> DaemonUnreachable:
    if isinstance(error, TimeoutError):
        reason = "no answer in time"
    else:
        reason = str(getattr(error, "strerror", None) or getattr(error, "reason", None) or "no connection")
    return DaemonUnreachable(f"{address} cannot be reached ({reason})", hint="does the daemon serve HTTP there?")
