"""Events of calls on their way to who wants them: in an encoding, or nowhere."""

from __future__ import annotations

import json

import pytest

from agentgw.protocol.events import ChatDelta, DaemonEvent, TurnDelta
from agentgw_daemon.events.stored_event import StoredEvent
from agentgw_daemon.server.calls.sinks import JSON_RPC, EncodedEvents, EventSink, NoEvents

pytestmark = pytest.mark.anyio
EVENT = DaemonEvent(topic="turns", name="started", data={})


class Frames:
    """Methods of the frames, by the way they came."""

    def __init__(self) -> None:
        self.put_in: list[str] = []
        self.offered: list[str] = []

    async def put(self, frame: bytes) -> None:
        self.put_in.append(json.loads(frame)["method"])

    def offer(self, frame: bytes) -> None:
        self.offered.append(json.loads(frame)["method"])


async def tell(sink: EventSink) -> None:
    await sink.show("t-1", "s-1", 1, (TurnDelta(text="x"),))
    await sink.show_stored("t-1", "s-1", [StoredEvent(2, "turn.notice", {"code": "c", "text": "n"})])
    await sink.notify(ChatDelta(text="x"))
    sink.offer(EVENT)


async def test_a_reader_is_waited_for_but_where_it_is_told_of_the_daemon() -> None:
    frames = Frames()
    await tell(EncodedEvents(JSON_RPC, frames))
    assert frames.put_in == ["turn.delta", "turn.notice", "chat.delta"]
    assert frames.offered == [EVENT.method]


async def test_whoever_wants_no_events_takes_them_all_and_raises_nothing() -> None:
    await tell(NoEvents())
