"""Context in which a handler answers one call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from agentgw_daemon.server.calls.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Collection

    from agentgw.protocol.types import Topic
    from agentgw_daemon.server.calls.sinks import EventSink
    from agentgw_daemon.server.daemon import Daemon


class RequestContext:
    """State that the calls of one connection share. `events` takes what a call tells before it is answered."""

    __slots__ = ("_subscriptions", "daemon", "events", "services", "uploads")

    def __init__(self, daemon: Daemon, events: EventSink, subscriptions: ExitStack) -> None:
        self.daemon = daemon
        self.services = daemon.services
        self.events = events
        self._subscriptions = subscriptions
        self.uploads = Uploads(subscriptions)

    def subscribe(self, topics: Collection[Topic]) -> None:
        """Deliver the daemon's events of these topics on this connection while it is open."""
        self._subscriptions.enter_context(self.services.hub.subscribed(topics, self.events.offer))


Handler = Callable[["RequestContext", Any], Any]
"""Answers one call: bound parameters in, the method's result record out; raises RpcError.

A coroutine function runs in a task of its own; a plain one must not wait for anything."""
