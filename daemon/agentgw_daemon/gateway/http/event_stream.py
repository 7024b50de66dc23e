"""Server-sent events: the lines of a stream, and the buffer between a call and its reader.

The events are those of the socket under their own names, their `data` is the notification's `params`, and their `id`
is its `seq`. A stream ends with `event: result` or `event: error`, which have no id: whoever resumes names the last
number that was seen.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from agentgw.protocol.events import TurnDelta, TurnEvent
from agentgw.protocol.records.schema import dump
from agentgw.transport.framing import encode
from agentgw_daemon.events.turn_log import TurnBatch
from agentgw_daemon.server.calls.sinks import Encoding
from agentgw_daemon.server.calls.turn_frames import delta_params, event_params, ids_of, numbered

if TYPE_CHECKING:
    from agentgw_daemon.events.stored_event import StoredEvent
    from agentgw_daemon.server.calls.sinks import OtherEvent

EVENT_STREAM: Final = "text/event-stream"
# A comment, which readers pass over; it keeps proxies from closing a stream that is silent.
HEARTBEAT: Final = b": still here\n\n"
# Enough to keep the kernel busy; the log keeps what has not been sent.
_LIMIT_BYTES: Final = 256 << 10


SendNow = Callable[[bytes], bool]
"""Sends at once what it can, and tells whether that was all; the rest leaves before what is sent next."""


class StreamEncoding(Encoding, Protocol):
    """Form of a call's events in a stream, and of its end."""

    @property
    def content_type(self) -> str:
        """The content type of the whole stream."""

    @property
    def heartbeat(self) -> bytes:
        """A piece for when nothing comes, which readers pass over; empty where the form has none."""

    def result(self, value: Any) -> bytes:
        """The last event of a call that has a result."""

    def failure(self, value: dict[str, Any]) -> bytes:
        """The last event of one that has failed, by what an answer would have had as its error."""

    @property
    def is_finished(self) -> bool:
        """Tells whether frames are sent as they are, without `finished`."""

    async def finished(self, frames: bytes) -> bytes:
        """Finish frames, in their order, as they are sent: the place for work that takes long."""


class BatchBytes:
    """Bytes of batches in one encoding: made once for all streams that are told the same batch, kept as long as it."""

    def __init__(self) -> None:
        self._made: dict[int, bytes] = {}

    def bytes_of(self, batch: TurnBatch, make: Callable[[], bytes]) -> bytes:
        """The bytes of this batch, which `make` makes where nobody has yet."""
        key = id(batch)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = make()
            weakref.finalize(batch, self._made.pop, key).atexit = False
        return found


class ServerSentEvents:
    """The `StreamEncoding` of programs. Leaves out events of a turn up to number `after`.

    `shared`: what all streams of this encoding have made.
    """

    content_type: Final = EVENT_STREAM
    heartbeat: Final = HEARTBEAT
    is_finished: Final = True

    def __init__(self, shared: BatchBytes, after: int = 0) -> None:
        self._shared = shared
        self._after = after

    def turn_events(self, turn_id: str, session_id: str, seq: int, events: Sequence[TurnEvent]) -> bytes:
        """See Encoding."""
        ids = ids_of(turn_id, session_id)
        skipped = max(0, self._after + 1 - seq)
        if skipped or not isinstance(events, TurnBatch):
            return _events(ids, seq, events, skipped)
        return self._shared.bytes_of(events, lambda: _events(ids, seq, events, 0))

    def stored_events(self, turn_id: str, session_id: str, events: Iterable[StoredEvent]) -> bytes:
        """See Encoding."""
        ids = ids_of(turn_id, session_id)
        wanted = (one for one in events if one.seq > self._after)
        return b"".join(_lines(one.seq, one.method, numbered(ids, one.seq, one.params)) for one in wanted)

    def other_event(self, event: OtherEvent) -> bytes:
        """See Encoding."""
        return last_event(event.method, event)

    def result(self, value: Any) -> bytes:
        """See StreamEncoding."""
        return last_event("result", value)

    def failure(self, value: dict[str, Any]) -> bytes:
        """See StreamEncoding."""
        return last_event("error", {"error": value})

    async def finished(self, frames: bytes) -> bytes:
        """See StreamEncoding."""
        return frames


def _events(ids: str, seq: int, events: Sequence[TurnEvent], skipped: int) -> bytes:
    return b"".join(_event(ids, seq + i, events[i]) for i in range(skipped, len(events)))


def _event(ids: str, seq: int, event: TurnEvent) -> bytes:
    if isinstance(event, TurnDelta):
        made = f"id: {seq}\nevent: turn.delta\ndata: {delta_params(ids, seq, event)}\n\n"
        return made.encode("utf-8", "replace")
    return _lines(seq, *event_params(ids, seq, event))


def _lines(seq: int, method: str, params: str) -> bytes:
    # JSON has no line break in a text, so no text can end the event.
    return f"id: {seq}\nevent: {method}\ndata: {params}\n\n".encode()


def last_event(name: str, value: Any) -> bytes:
    """One event without a number."""
    return b"event: %b\ndata: %b\n" % (name.encode(), encode(dump(value)))


class EventBuffer:
    """Events of a call that its reader has not taken yet: the call's `Frames`.

    `put` waits while more than `limit_bytes` are held, so a reader that stands still holds the turn that it owns.
    """

    def __init__(self, *, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._send_now: SendNow | None = None
        # True when a part of what was sent at once has not left.
        self._is_cut = False
        self._events: deque[bytes] = deque()
        self._held_bytes = 0
        self._ended = False
        self._changed = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()

    async def put(self, frame: bytes) -> None:
        """See Frames."""
        while self._held_bytes > self._limit_bytes:
            await self._room.park()
        self._add(frame)

    def offer(self, frame: bytes) -> None:
        """See Frames."""
        if self._held_bytes > self._limit_bytes:
            # What follows would have a hole; whoever wants more connects again.
            self._ended = True
        elif not self._ended:
            self._add(frame)

    def end(self, last: bytes) -> None:
        """Add the last bytes of the stream."""
        self._ended = True
        self._add(last)

    async def wait(self, send_now: SendNow | None = None) -> None:
        """Returns when there is something to take or to send on, or nothing more to come.

        Meanwhile what comes is given to `send_now` and not held: that spares a change of tasks for each piece.
        """
        self._send_now = send_now
        try:
            while not (self._events or self._ended or self._is_cut):
                await self._changed.park()
        finally:
            self._send_now = None

    def take(self) -> bytes:
        """Take out all bytes that are held."""
        self._is_cut = False
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
            if self._send_now is not None and not (self._events or self._ended or self._is_cut):
                self._is_cut = not self._send_now(events)
                if not self._is_cut:
                    return
            else:
                self._events.append(events)
                self._held_bytes += len(events)
        self._changed.unpark_all()
