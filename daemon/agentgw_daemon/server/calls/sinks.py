"""Sinks of the events that calls give: some take them as they are, most make bytes of them for a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import trio

from agentgw.protocol.events import ChatDelta, DaemonEvent, DocumentProgress, ModelProgress, ReplayProgress
from agentgw.protocol.records.schema import dump
from agentgw.transport.framing import encode
from agentgw_daemon.server.calls.turn_frames import stored_frames, turn_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentgw.protocol.events import TurnEvent
    from agentgw_daemon.events.stored_event import StoredEvent

OtherEvent = ChatDelta | ReplayProgress | ModelProgress | DocumentProgress | DaemonEvent
"""An event that belongs to no turn."""


class EventSink(Protocol):
    """Takes the events of calls. All but `offer` wait while whoever takes them is behind, and may raise ReaderGone."""

    async def show(self, turn_id: str, session_id: str, seq: int, events: Sequence[TurnEvent]) -> None:
        """Take events of a turn, numbered from `seq` on."""

    async def show_stored(self, turn_id: str, session_id: str, events: Iterable[StoredEvent]) -> None:
        """Take events of a turn as the stored log has them."""

    async def notify(self, event: OtherEvent) -> None:
        """Take an event that belongs to no turn."""

    def offer(self, event: DaemonEvent) -> None:
        """Take an event of the daemon at once; a reader that is too far behind is given up."""


class NoEvents:
    """The `EventSink` of a call whose result is all that its caller wants."""

    async def show(self, turn_id: str, session_id: str, seq: int, events: Sequence[TurnEvent]) -> None:
        """See EventSink."""
        await trio.lowlevel.checkpoint()

    async def show_stored(self, turn_id: str, session_id: str, events: Iterable[StoredEvent]) -> None:
        """See EventSink."""
        await trio.lowlevel.checkpoint()

    async def notify(self, event: OtherEvent) -> None:
        """See EventSink."""
        await trio.lowlevel.checkpoint()

    def offer(self, event: DaemonEvent) -> None:
        """See EventSink."""


class Frames(Protocol):
    """Frames of notifications on their way to one reader, whatever becomes of them there."""

    async def put(self, frame: bytes) -> None:
        """Take one or more whole frames once there is room. Raises ReaderGone."""

    def offer(self, frame: bytes) -> None:
        """Take a frame at once; a reader that is too far behind is given up."""


class Encoding(Protocol):
    """Form of events as bytes for one kind of reader. Does no I/O."""

    def turn_events(self, turn_id: str, session_id: str, seq: int, events: Sequence[TurnEvent]) -> bytes:
        """Events of a turn, numbered from `seq` on."""

    def stored_events(self, turn_id: str, session_id: str, events: Iterable[StoredEvent]) -> bytes:
        """Events of a turn as the stored log has them."""

    def other_event(self, event: OtherEvent) -> bytes:
        """An event that belongs to no turn."""


class EncodedEvents:
    """The `EventSink` of one reader: events in an encoding, put among its frames."""

    __slots__ = ("_encoding", "_frames")

    def __init__(self, encoding: Encoding, frames: Frames) -> None:
        self._encoding = encoding
        self._frames = frames

    async def show(self, turn_id: str, session_id: str, seq: int, events: Sequence[TurnEvent]) -> None:
        """See EventSink."""
        await self._frames.put(self._encoding.turn_events(turn_id, session_id, seq, events))

    async def show_stored(self, turn_id: str, session_id: str, events: Iterable[StoredEvent]) -> None:
        """See EventSink."""
        await self._frames.put(self._encoding.stored_events(turn_id, session_id, events))

    async def notify(self, event: OtherEvent) -> None:
        """See EventSink."""
        await self._frames.put(self._encoding.other_event(event))

    def offer(self, event: DaemonEvent) -> None:
        """See EventSink."""
        self._frames.offer(self._encoding.other_event(event))


class _JsonRpc:
    """Notifications as the socket has them."""

    def turn_events(self, turn_id: str, session_id: str, seq: int, events: Sequence[TurnEvent]) -> bytes:
        return turn_frames(turn_id, session_id, seq, events)

    def stored_events(self, turn_id: str, session_id: str, events: Iterable[StoredEvent]) -> bytes:
        return stored_frames(turn_id, session_id, events)

    def other_event(self, event: OtherEvent) -> bytes:
        return encode({"jsonrpc": "2.0", "method": event.method, "params": dump(event)})


JSON_RPC: Final[Encoding] = _JsonRpc()
