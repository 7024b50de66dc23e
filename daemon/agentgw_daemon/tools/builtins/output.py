"""Output of a program, of which the beginning and the end are kept. Does no I/O."""

from __future__ import annotations

from collections import deque
from typing import Final

from agentgw_daemon.tools.tool import MAX_CONTENT_BYTES

# The work is told at the beginning, the failure at the end.
HEAD_BYTES: Final = MAX_CONTENT_BYTES // 4
TAIL_BYTES: Final = MAX_CONTENT_BYTES // 2


class HeadAndTail:
    """Takes any amount of bytes in bounded memory."""

    __slots__ = ("_head", "_tail", "_tail_bytes", "total_bytes")

    def __init__(self) -> None:
        self.total_bytes = 0
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0

    def add(self, data: bytes) -> None:
        """The next piece."""
        self.total_bytes += len(data)
        room = HEAD_BYTES - len(self._head)
        self._head += data[:room]
        if rest := data[room:]:
            self._tail.append(rest)
            self._tail_bytes += len(rest)
        while self._tail and self._tail_bytes - len(self._tail[0]) >= TAIL_BYTES:
            self._tail_bytes -= len(self._tail.popleft())

    def text(self) -> str:
        """The text of both ends, with a note of what is missing between them."""
        tail = b"".join(self._tail)[-TAIL_BYTES:]
        missing = self.total_bytes - len(self._head) - len(tail)
        if not missing:
            return (bytes(self._head) + tail).decode("utf-8", "replace")
        head = bytes(self._head).decode("utf-8", "replace")
        return f"{head}\n[{missing} bytes left out]\n{tail.decode('utf-8', 'replace')}"
