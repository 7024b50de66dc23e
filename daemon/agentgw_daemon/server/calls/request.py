"""Context in which a handler answers one call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol

from agentgw.protocol.events import ChatDelta, DaemonEvent, DocumentProgress, ModelProgress, ReplayProgress
from agentgw.protocol.records.schema import dump
from agentgw.transport.framing import encode
from agentgw_daemon.server.calls.turn_frames import StoredEvent, stored_frames, turn_frames
from agentgw_daemon.server.calls.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from agentgw.protocol.events import TurnEvent
    from agentgw.protocol.types import Topic
    from agentgw_daemon.server.daemon import Daemon


class Frames(Protocol):
    """Frames of notifications on their way to one reader, whatever becomes of them there."""

    async def put(self, frame: bytes) -> None:
        """Take one or more whole frames once there is room. Raises ReaderGone."""

    def offer(self, frame: bytes) -> None:
        """Take a frame at once; a reader that is too far behind is given up."""


OtherEvent = ChatDelta | ReplayProgress | ModelProgress | DocumentProgress | DaemonEvent
"""An event that belongs to no turn."""


class Encoding(Protocol):
    """Form of events as bytes for one kind of reader. Does no I/O."""

    def turn_events(self, turn_id: str, session_id: str, seq: int, events: Sequence[TurnEvent]) -> bytes:
        """Events of a turn, numbered from `seq` on."""

    def stored_events(self, turn_id: str, session_id: str, events: Iterable[StoredEvent]) -> bytes:
        """Events of a turn as the stored log has them."""

    def other_event(self, event: OtherEvent) -> bytes:
        """An event that belongs to no turn."""


class RequestContext:
    """State that the calls of one connection share."""

    __slots__ = ("_encoding", "_subscriptions", "daemon", "outbox", "services", "uploads")

    def __init__(
        self, daemon: Daemon, outbox: Frames, subscriptions: ExitStack, encoding: Encoding | None = None
    ) -> None:
        """Without an `encoding`, events are notifications of JSON-RPC."""
        self.daemon = daemon
        self.services = daemon.services
        self.outbox = outbox
        self._subscriptions = subscriptions
        self.uploads = Uploads(subscriptions)
        self._encoding = encoding or JSON_RPC

    def subscribe(self, topics: Collection[Topic]) -> None:
        """Deliver the daemon's events of these topics on this connection while it is open."""
        hub, encode_event = self.services.hub, self._encoding.other_event
        self._subscriptions.enter_context(hub.subscribed(topics, lambda event: self.outbox.offer(encode_event(event))))

    async def notify(self, event: OtherEvent) -> None:
        """Send an event of no turn; waits while the reader is behind. Raises ReaderGone."""
        await self.outbox.put(self._encoding.other_event(event))

    async def show(self, turn_id: str, session_id: str, seq: int, events: Sequence[TurnEvent]) -> None:
        """Send events of a turn, numbered from `seq` on; waits as `notify` does. Raises ReaderGone."""
        await self.outbox.put(self._encoding.turn_events(turn_id, session_id, seq, events))

    async def show_stored(self, turn_id: str, session_id: str, events: Iterable[StoredEvent]) -> None:
        """Send events of a turn as the stored log has them. Raises ReaderGone."""
        await self.outbox.put(self._encoding.stored_events(turn_id, session_id, events))


class _JsonRpc:
    """Notifications as the socket has them."""

    def turn_events(self, turn_id: str, session_id: str, seq: int, events: Sequence[TurnEvent]) -> bytes:
        return turn_frames(turn_id, session_id, seq, events)

    def stored_events(self, turn_id: str, session_id: str, events: Iterable[StoredEvent]) -> bytes:
        return stored_frames(turn_id, session_id, events)

    def other_event(self, event: OtherEvent) -> bytes:
        return encode({"jsonrpc": "2.0", "method": event.method, "params": dump(event)})


JSON_RPC: Final[Encoding] = _JsonRpc()


Handler = Callable[["RequestContext", Any], Any]
