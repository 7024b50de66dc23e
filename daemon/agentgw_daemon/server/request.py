"""Context in which a handler answers one call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

from agentgw.protocol.schema import dump
from agentgw.transport.framing import encode

if TYPE_CHECKING:
    from collections.abc import Collection

    from agentgw.protocol.events import ChatDelta, DaemonEvent, DocumentProgress, ModelProgress, ReplayProgress
    from agentgw.protocol.types import Topic
    from agentgw_daemon.server.daemon import Daemon


class Frames(Protocol):
    """Frames of notifications on their way to one reader, whatever becomes of them there."""

    async def put(self, frame: bytes) -> None:
        """Take one or more whole frames once there is room. Raises ReaderGone."""

    def offer(self, frame: bytes) -> None:
        """Take a frame at once; a reader that is too far behind is given up."""


class RequestContext:
    """State that the calls of one connection share."""

    __slots__ = ("_subscriptions", "daemon", "outbox", "services")

    def __init__(self, daemon: Daemon, outbox: Frames, subscriptions: ExitStack) -> None:
        self.daemon = daemon
        self.services = daemon.services
        self.outbox = outbox
        self._subscriptions = subscriptions

    def subscribe(self, topics: Collection[Topic]) -> None:
        """Deliver the daemon's events of these topics on this connection while it is open."""
        hub = self.services.hub
        self._subscriptions.enter_context(hub.subscribed(topics, lambda event: self.outbox.offer(notification(event))))

    async def notify(self, event: ChatDelta | ReplayProgress | ModelProgress | DocumentProgress | DaemonEvent) -> None:
        """Send a notification; waits while the reader is behind. Raises ReaderGone."""
        await self.outbox.put(notification(event))


def notification(event: ChatDelta | ReplayProgress | ModelProgress | DocumentProgress | DaemonEvent) -> bytes:
    """The frame of an event that belongs to no turn."""
    return encode({"jsonrpc": "2.0", "method": event.method, "params": dump(event)})


Handler = Callable[["RequestContext", Any], Any]
