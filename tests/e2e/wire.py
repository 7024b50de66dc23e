"""A client of the bare wire: bytes and JSON lines over the Unix socket, nothing of ours in between."""

from __future__ import annotations

import contextlib
import json
import socket
from collections import deque
from collections.abc import Iterator
from typing import Any, Self

from tests.patience import PATIENCE_S


class Refused(Exception):
    """The daemon answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.data: dict[str, Any] = error.get("data", {})


class Wire:
    """One connection; a context manager that closes it."""

    def __init__(self, path: str, *, patience_s: float = PATIENCE_S) -> None:
        self.raw = socket.socket(socket.AF_UNIX)
        # Before the time limit, which makes the socket non-blocking: then a full backlog is an error at once.
        self.raw.connect(path)
        self.raw.settimeout(patience_s)
        self._pending = b""
        self._lines: deque[bytes] = deque()
        self._last_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.raw.close()

    def send(self, *messages: Any) -> None:
        """JSON values, a line each."""
        self.send_bytes(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    def send_bytes(self, data: bytes) -> None:
        """Anything at all."""
        self.raw.sendall(data)

    def request(self, method: str, **params: Any) -> int:
        """Ask without waiting; gives the id."""
        self._last_id += 1
        self.send({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params})
        return self._last_id

    def line(self) -> bytes | None:
        """The next line; None at the end of the stream, which a reset counts as."""
        while not self._lines:
            try:
                data = self.raw.recv(1 << 18)
            except ConnectionResetError:
                return None
            if not data:
                return None
            *lines, self._pending = (self._pending + data).split(b"\n")
            self._lines.extend(lines)
        return self._lines.popleft()

    def last_lines(self, count: int) -> list[bytes]:
        """The last lines before the end of the stream, the others unread."""
        lines: deque[bytes] = deque(maxlen=count)
        while (line := self.line()) is not None:
            lines.append(line)
        return list(lines)

    def receive(self) -> Any:
        """The next message; None at the end of the stream."""
        line = self.line()
        return None if line is None else json.loads(line)

    def rest(self) -> Iterator[Any]:
        """Every message up to the end of the stream."""
        while (message := self.receive()) is not None:
            yield message

    def call(self, method: str, **params: Any) -> Any:
        """The result. Raises Refused."""
        return self.stream(method, **params)[1]

    def stream(self, method: str, **params: Any) -> tuple[list[dict[str, Any]], Any]:
        """The notifications before the result, and the result. Raises Refused."""
        return self.outcome(self.request(method, **params))

    def outcome(self, request_id: int) -> tuple[list[dict[str, Any]], Any]:
        """The notifications and the result that a request of ours still brings. Raises Refused."""
        notifications = []
        while (message := self.receive()) is not None:
            if "method" in message:
                notifications.append(message)
            elif "error" in message and message["id"] in (request_id, None):
                # Without an id it is about the whole connection.
                raise Refused(message["error"])
            elif message["id"] == request_id:
                return notifications, message["result"]
        raise ConnectionResetError("the daemon closed the connection before it answered")

    def frames(self, method: str, **params: Any) -> list[bytes]:
        """Every line up to the result, as they were sent."""
        request_id = self.request(method, **params)
        lines = []
        while (line := self.line()) is not None:
            lines.append(line)
            if json.loads(line).get("id") == request_id:
                return lines
        raise ConnectionResetError("the daemon closed the connection before it answered")

    def next(self, method: str) -> dict[str, Any]:
        """The parameters of the next notification of this name; others are passed over."""
        while (message := self.receive()) is not None:
            assert "error" not in message, message
            if message.get("method") == method:
                params: dict[str, Any] = message["params"]
                return params
        raise ConnectionResetError("the daemon closed the connection")

    def is_closed(self) -> bool:
        """Tells whether the other side closes without another word; waits for it."""
        with contextlib.suppress(ConnectionResetError):
            return not self._lines and self.raw.recv(1) == b""
        return not self._lines
