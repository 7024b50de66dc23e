"""The blocking client: a connection to the daemon, started on demand, and calls over it.

    with connect_client(Paths()) as client:
        stream = client.stream("turn.start", message="hi")
        for notification in stream:
            ...
        stream.result

For one thread. A deadline covers every wait; without one the daemon is waited for, because it answers every request.
"""

from __future__ import annotations

import time
from collections import deque

from agentgw import PROTOCOL, __version__
from agentgw.protocol.errors import DaemonUnreachable, Timeout, VersionMismatch, from_wire
from agentgw.transport.connection import Connection, Notification, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, Final, Protocol, Self

    from agentgw.transport.connection import Params

    class ByteStream(Protocol):
        """Bytes to the daemon and back, by the methods of a blocking socket that are used."""

        def settimeout(self, timeout_s: float | None, /) -> None:
            """Limits each wait."""

        def recv(self, size: int, /) -> bytes:
            """The next bytes; nothing at the end."""

        def send(self, data: bytes, /) -> int:
            """Sends the beginning of it; gives how much that was."""

        def sendall(self, data: bytes, /) -> None:
            """Sends all of the data."""

        def fileno(self) -> int:
            """The descriptor, to wait on."""

        def close(self) -> None:
            """Ends the connection."""


# From a cold start to the reply to `hello`; imports take a second on a slow disk.
START_TIMEOUT_S: Final = 30.0
_READ_BYTES: Final = 1 << 16


class ConnectionLost(DaemonUnreachable):
    """The daemon went away in the middle."""


class Client:
    """One connection. Made by `connect_client`; a context manager that closes it."""

    def __init__(self, connection: ByteStream, *, where: str = "") -> None:
        """`where` is the address of a daemon elsewhere, which errors then name."""
        self._socket = connection
        #: Address of a daemon that is not this machine's; empty for one that is.
        self.where = where
        self._wire = Connection()
        self._incoming: deque[Response | Notification] = deque()
        self._deadline: float | None = None
        self._timeout_s = 0.0
        #: Facts that the daemon told about itself: the result of `hello`.
        self.daemon: Mapping[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; the daemon cancels what it still does for it."""
        self._socket.close()

    def limit(self, timeout_s: float | None, *, told_s: float | None = None) -> None:
        """Lets every wait together take at most so long from here on, then raise Timeout; None lifts the limit.

        `told_s` is what the error says instead: the limit of which this is the rest.
        """
        self._timeout_s = told_s or timeout_s or 0.0
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s

    def limit_as(self, other: Client) -> None:
        """Lets waits end from here on when those of `other` do."""
        self._timeout_s, self._deadline = other._timeout_s, other._deadline

    def call(self, method: str, /, **params: Any) -> Any:
        """The result. Parameters that are None are left out. Raises the error of the reply."""
        return self.request(method, _given(params))

    def request(self, method: str, params: Params) -> Any:
        """Calls as `call` does, with the parameters as they are, by name or by position."""
        stream = Stream(self, self._request(method, params))
        for _ in stream:
            pass
        return stream.result

    def stream(self, method: str, /, **params: Any) -> Stream:
        """Calls as `call` does, giving the notifications that come before the result."""
        return Stream(self, self._request(method, _given(params)))

    def send(self, method: str, /, **params: Any) -> int:
        """Calls without waiting; the reply, which has this id, is passed over while a stream is read."""
        return self._request(method, _given(params))

    def notify(self, method: str, /, **params: Any) -> None:
        """Sends a request that has no answer."""
        self._write(self._wire.notification(method, _given(params)))

    def wait_closed(self) -> None:
        """Returns when the daemon has closed the connection."""
        try:
            while True:
                self._incoming.clear()
                self._read()
        except ConnectionLost:
            return

    def greet(self, timeout_s: float | None = None) -> None:
        """Says `hello` and waits a bounded time for the reply, which is then in `daemon`.

        Raises DaemonUnreachable without a reply, VersionMismatch when the two cannot work together.
        """
        timeout_s = timeout_s or START_TIMEOUT_S
        self.limit(timeout_s)
        try:
            said = self.call("hello", client="agentgw", version=__version__, protocol=PROTOCOL)
        except Timeout:
            raise DaemonUnreachable(
                f"{self._daemon} does not answer within {timeout_s:g} seconds", hint="see agentgw logs"
            ) from None
        if not isinstance(said, dict):
            raise DaemonUnreachable("what answers is not an agentgw daemon: it has no greeting")
        theirs = said.get("protocol")
        if theirs != PROTOCOL:
            hint = "install versions that go together" if self.where else "run: agentgw restart"
            raise VersionMismatch(
                f"{self._daemon} speaks protocol {theirs}, this client {PROTOCOL}"
                f" (versions {said.get('version')} and {__version__})",
                hint=hint, ours=str(PROTOCOL), theirs=str(theirs),
            )  # fmt: skip
        self.daemon = said
        self.limit(None)

    def greeted(self) -> Self:
        """Itself after `greet`; closed when that raises."""
        try:
            self.greet()
        except BaseException:
            self.close()
            raise
        return self

    def detached(self) -> ByteStream:
        """The connection itself, for whoever goes on with it in this client's place; nothing may be under way."""
        assert not self._incoming
        self._socket.settimeout(None)
        return self._socket

    def fileno(self) -> int:
        """The connection's descriptor, to wait on beside others; what is pending is not seen there."""
        return self._socket.fileno()

    def next_message(self) -> Response | Notification:
        """The next thing the daemon says; waits for it."""
        while not self._incoming:
            self._read()
        return self._incoming.popleft()

    def wait_message(self, descriptor: int) -> bool:
        """True when the daemon has said something, False when the descriptor can be read before that.

        Raises ConnectionLost and Timeout.
        """
        # Not poll, which on macOS does not know terminals.
        from select import select

        descriptors = [self._socket.fileno(), descriptor]
        while not self._incoming:
            ready, _, _ = select(descriptors, [], [], self._remaining())
            if not ready:
                raise self._timed_out()
            if descriptor in ready:
                return False
            self._read()
        return True

    def wait_pending(self) -> None:
        """Reads once; `has_pending` tells whether that completed a message. Raises ConnectionLost and Timeout."""
        self._read()

    @property
    def has_pending(self) -> bool:
        """True when the next message is here already."""
        return bool(self._incoming)

    @property
    def has_ended(self) -> bool:
        """True once the daemon has closed the connection: looks and does not wait. What it said before is pending."""
        from select import select

        try:
            while select([self._socket.fileno()], [], [], 0)[0]:
                self._read()
        except ConnectionLost:
            return True
        return False

    def has_message(self, within_s: float) -> bool:
        """Tells whether the daemon says something, or goes, within this time and the limit. Raises Timeout."""
        from select import select

        if self._incoming:
            return True
        remaining = self._remaining()
        if remaining is not None:
            within_s = min(within_s, remaining)
        return bool(select([self._socket.fileno()], [], [], within_s)[0])

    def _request(self, method: str, params: Params) -> int:
        number, frame = self._wire.request(method, params)
        self._write(frame)
        return number

    def _write(self, data: bytes) -> None:
        self._socket.settimeout(self._remaining())
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise self._timed_out() from None
        except BlockingIOError:
            raise DaemonUnreachable(
                f"{self._daemon} does not read what is sent to it", hint="see agentgw logs"
            ) from None
        except OSError:
            # The last message of the daemon, such as why it closes, is worth more than the failed write.
            return

    def _read(self) -> None:
        self._socket.settimeout(self._remaining())
        try:
            data = self._socket.recv(_READ_BYTES)
        except TimeoutError:
            raise self._timed_out() from None
        except OSError:
            data = b""
        if not data:
            if self.where:
                raise ConnectionLost(f"the connection to {self.where} ended before the answer", hint="try again")
            raise ConnectionLost("the daemon ended before it answered", hint="see agentgw logs")
        self._incoming.extend(self._wire.receive(data))

    def _remaining(self) -> float | None:
        if self._deadline is None:
            return None
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise self._timed_out()
        return remaining

    @property
    def _daemon(self) -> str:
        return f"the daemon at {self.where}" if self.where else "the daemon"

    def _timed_out(self) -> Timeout:
        return Timeout(f"no answer within {self._timeout_s:g} seconds", timeout_s=self._timeout_s)


class Stream:
    """The notifications of one request, in order; afterwards `result` holds.

    Iterating raises the error of the reply. Leaving early leaves the request running: cancel it or close the client.
    """

    def __init__(self, client: Client, number: int) -> None:
        self._client = client
        self._number = number
        self.result: Any = None
        #: True once the reply is here, also one that is an error.
        self.ended = False

    def __iter__(self) -> Iterator[Notification]:
        while True:
            message = self._client.next_message()
            if isinstance(message, Notification):
                yield message
            elif self.is_ended_by(message):
                return

    def is_ended_by(self, message: Response) -> bool:
        """Tells whether this is the reply to the request, which `result` then holds. Raises the error of the reply.

        For whoever reads the client's messages itself, because replies to other requests come between.
        """
        # The reply to a `turn.cancel` sent meanwhile has another number. An error without one is about a frame
        # of ours that could not be read.
        if message.id != self._number and (message.id is not None or message.error is None):
            return False
        self.ended = True
        if message.error is not None:
            raise from_wire(message.error)
        self.result = message.result
        return True

    @property
    def has_pending(self) -> bool:
        """True when the next notification is here already, so that output may wait for it."""
        return self._client.has_pending


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}
