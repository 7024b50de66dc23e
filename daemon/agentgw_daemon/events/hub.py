"""Events of the whole daemon, to whoever subscribed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from agentgw.protocol.events import DaemonEvent
from agentgw.protocol.types import Topic
from agentgw_daemon.observability.supervision import contained

Deliver = Callable[[DaemonEvent], None]
"""Takes an event without waiting. What it raises reaches the log, never whoever publishes."""


class EventHub:
    """Publishes at once to all subscribers of a topic. A subscriber must not wait: a full one is its own problem."""

    def __init__(self) -> None:
        self._subscribers: list[tuple[frozenset[Topic], Deliver]] = []

    @contextmanager
    def subscribed(self, topics: Collection[Topic], deliver: Deliver) -> Iterator[None]:
        """Deliver events of these topics while the context is open."""
        entry = (frozenset(topics), deliver)
        self._subscribers.append(entry)
        try:
            yield
        finally:
            self._subscribers.remove(entry)

    def publish(self, topic: Topic, name: str, **data: Any) -> None:
        """Tell all subscribers of the topic."""
        event = DaemonEvent(topic=topic, name=name, data=data)
        for topics, deliver in tuple(self._subscribers):
            if topic in topics:
                # Whoever publishes has work of its own to do.
                with contained(f"telling a subscriber of {topic} {name}"):
                    deliver(event)
