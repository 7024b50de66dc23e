"""Server-sent events: from notifications to the lines of a stream, and the buffer between a call and its reader.

The events are those of the socket under their own names, their `data` is the notification's `params`, and their `id`
is its `seq`. A stream ends with `event: result` or `event: error`, which have no id: whoever resumes names the last
number that was seen.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any, Final

import trio

from agentgw.protocol.schema import dump
from agentgw.transport.framing import encode

# A comment, which readers pass over; it keeps proxies from closing a stream that is silent.
HEARTBEAT: Final = b": still here\n\n"
# Enough to keep the kernel busy; the log keeps what has not been sent.
_LIMIT_BYTES: Final = 256 << 10

_METHOD: Final = b'{"jsonrpc":"2.0","method":"'
_PARAMS: Final = b'","params":'
_SEQ: Final = re.compile(rb'\{"turn_id":"[^"]*","session_id":"[^"]*","seq":([0-9]+)')


def events_of(frames: bytes, after: int = 0) -> bytes:
    """The notifications in `frames` as events, without those of a turn up to number `after`.

    Cut out of the frames rather than encoded anew: a frame is one line, and its strings hold no line breaks.
    """
    made = []
    for line in frames.split(b"\n"):
        if not line:
            continue
        name_end = line.index(b'"', len(_METHOD))
        params = line[name_end + len(_PARAMS) : -1]
        found = _SEQ.match(params)
        if found is None:
            made.append(b"event: %b\ndata: %b\n\n" % (line[len(_METHOD) : name_end], params))
        elif int(found[1]) > after:
            made.append(b"id: %b\nevent: %b\ndata: %b\n\n" % (found[1], line[len(_METHOD) : name_end], params))
    return b"".join(made)


def event(name: str, value: Any) -> bytes:
    """One event without a number."""
    return b"event: %b\ndata: %b\n" % (name.encode(), encode(dump(value)))


class EventBuffer:
    """Events of a call that its reader has not taken yet: the call's `Frames`.

    `put` waits while more than `limit_bytes` are held, so a reader that stands still holds the turn that it owns.
    """

    def __init__(self, *, after: int = 0, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._after = after
        self._limit_bytes = limit_bytes
        self._events: deque[bytes] = deque()
        self._held_bytes = 0
        self._ended = False
        self._changed = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()

    async def put(self, frame: bytes) -> None:
        """See Frames."""
        while self._held_bytes > self._limit_bytes:
            await self._room.park()
        self._add(events_of(frame, self._after))

    def offer(self, frame: bytes) -> None:
        """See Frames."""
        if self._held_bytes > self._limit_bytes:
            # What follows would have a hole; whoever wants more connects again.
            self._ended = True
        elif not self._ended:
            self._add(events_of(frame, self._after))

    def end(self, last: bytes) -> None:
        """Add what comes last."""
        self._ended = True
        self._add(last)

    async def wait(self) -> None:
        """Returns when there is something to take, or nothing more to come."""
        while not self._events and not self._ended:
            await self._changed.park()

    def take(self) -> bytes:
        """All that is held."""
        taken = b"".join(self._events)
        self._events.clear()
        self._held_bytes = 0
        self._room.unpark_all()
        return taken

    @property
    def has_events(self) -> bool:
        """Tells whether something waits to be taken."""
        return bool(self._events)

    @property
    def finished(self) -> bool:
        """Tells whether all has been taken and nothing comes any more."""
        return self._ended and not self._events

    def _add(self, events: bytes) -> None:
        if events:
            self._events.append(events)
            self._held_bytes += len(events)
        self._changed.unpark_all()


class NoEvents:
    """`Frames` of a call whose answer is all that its client wants."""

    async def put(self, frame: bytes) -> None:
        """See Frames."""
        await trio.lowlevel.checkpoint()

    def offer(self, frame: bytes) -> None:
        """See Frames."""
