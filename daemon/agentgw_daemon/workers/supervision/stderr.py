"""Lines of a worker's standard error: of bounded length, the last of them kept."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from typing import Final

import trio

_log = logging.getLogger(__name__)

MAX_LINE: Final = 500
TAIL_LINES: Final = 20


class StderrTail:
    """Reads the pipe to its end. `str()` of it is the tail on one line: the reason of a native crash."""

    def __init__(self) -> None:
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._pending = b""

    def __str__(self) -> str:
        return " | ".join(self._tail)

    async def read(self, pid: int, stream: trio.abc.ReceiveStream) -> None:
        """Log until the pipe ends. May be cancelled and called again."""
        while chunk := await stream.receive_some(4096):
            *lines, pending = (self._pending + chunk).split(b"\n")
            if len(pending) > MAX_LINE:
                lines, pending = [*lines, pending], b""
            self._pending = pending
            self._note(pid, lines)
        self._note(pid, [self._pending])
        self._pending = b""

    def _note(self, pid: int, lines: Iterable[bytes]) -> None:
        for line in lines:
            if text := line[:MAX_LINE].decode("utf-8", "replace").rstrip():
                self._tail.append(text)
                _log.debug("worker %d: %s", pid, text)
