"""Daemon-wide events."""

from __future__ import annotations

from agentgw.protocol.events import DaemonEvent
from agentgw_daemon.events.hub import EventHub


def test_subscribers_get_their_topics_while_they_are_subscribed() -> None:
    hub = EventHub()
    turns: list[DaemonEvent] = []
    everything: list[DaemonEvent] = []
    with hub.subscribed(["turns", "models"], everything.append):
        with hub.subscribed(["turns"], turns.append):
            hub.publish("turns", "started", turn_id="t")
            hub.publish("models", "loaded", model="m")
        hub.publish("turns", "completed", turn_id="t")
    hub.publish("turns", "late")
    assert [event.name for event in turns] == ["started"]
    assert [event.name for event in everything] == ["started", "loaded", "completed"]
    assert everything[1].data == {"model": "m"}
