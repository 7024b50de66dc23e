"""Server-sent events out of bytes, however they were cut, as the WHATWG's standard reads them; sans-io and bounded.

Two things are read more kindly than there, because endpoints end their streams so: the last event counts without its
blank line, and what stands where a field belongs is kept for whoever has to say what came instead of events.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agentgw.protocol.records.schema import record

_BOM: Final = b"\xef\xbb\xbf"
# Enough of it for a line of an error.
_MOST_STRAY_BYTES: Final = 2048
_FIELDS: Final = frozenset({b"data", b"event", b"id", b"retry"})


class EventTooLarge(Exception):
    """One event, or one line, is longer than allowed."""


@record
class ServerEvent:
    """One event. `name` is empty where the stream gives none."""

    name: str
    data: str


class EventStream:
    """Cuts a stream into events of at most `max_bytes`. Raises EventTooLarge.

    Identifiers and retry times mean nothing here: a stream that broke is not taken up again.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes: Final = max_bytes
        # Joined only when the line has ended, so that writes of one byte cost O(n) in all.
        self._line: list[bytes] = []
        self._line_bytes = 0
        self._after_cr = False
        self._first_line = True
        self._name = ""
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._strays = bytearray()
        self.events = 0

    @property
    def strays(self) -> bytes:
        """The beginning of what was no field."""
        return bytes(self._strays)

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that are complete with this chunk."""
        if not chunk:
            return
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        for line in chunk.splitlines(keepends=True):
            bare = line.rstrip(b"\r\n")
            self._line.append(bare)
            self._line_bytes += len(bare)
            if self._line_bytes + self._data_bytes > self._max_bytes:
                raise EventTooLarge(f"an event of more than {self._max_bytes} bytes")
            if len(bare) < len(line):
                yield from self._take()
        self._after_cr = chunk.endswith(b"\r")

    def close(self) -> Iterator[ServerEvent]:
        """The stream has ended: the event that it was in the middle of."""
        yield from self._take()
        yield from self._end_of_event()

    def _take(self) -> Iterator[ServerEvent]:
        line = b"".join(self._line)
        self._line, self._line_bytes = [], 0
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            yield from self._end_of_event()
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            # With its line end, so that empty lines without end are bounded, too.
            self._data_bytes += len(value) + 1
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif field and field not in _FIELDS:
            self._strays += (line + b"\n")[: _MOST_STRAY_BYTES - len(self._strays)]

    def _end_of_event(self) -> Iterator[ServerEvent]:
        if self._data or self._name:
            self.events += 1
            yield ServerEvent(name=self._name, data=b"\n".join(self._data).decode("utf-8", "replace"))
        self._name, self._data, self._data_bytes = "", [], 0
