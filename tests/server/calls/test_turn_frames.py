"""Frames of a turn's events: ids, numbers without holes, and text that no wire takes."""

from __future__ import annotations

import json
from typing import Any

from agentgw.protocol.events import TurnCompleted, TurnDelta, TurnEvent, TurnProgress, TurnStarted
from agentgw.protocol.records.schema import dump
from agentgw_daemon.events.stored_event import StoredEvent
from agentgw_daemon.server.calls.turn_frames import stored_frames, turn_frames

EVENTS: tuple[TurnEvent, ...] = (
    TurnStarted(skill="k", model="m"),
    TurnProgress(phase="queued", position=2),
    TurnDelta(text='a"\n\x01é'),
    TurnCompleted(finish_reason="stop"),
)


def frames(*events: TurnEvent, seq: int = 1) -> list[dict[str, Any]]:
    return [json.loads(line) for line in turn_frames("t-1", "s-1", seq, events).splitlines()]


def test_every_event_has_the_ids_and_the_next_number() -> None:
    made = frames(*EVENTS)
    assert [frame["params"].pop("seq") for frame in made] == [1, 2, 3, 4]
    assert {frame["params"].pop("turn_id") for frame in made} == {"t-1"}
    assert {frame["params"].pop("session_id") for frame in made} == {"s-1"}
    assert [(frame["method"], frame["params"]) for frame in made] == [
        ("turn.started", {"skill": "k", "model": "m"}),
        ("turn.progress", {"phase": "queued", "done": 0, "total": 0, "position": 2}),
        ("turn.delta", {"text": 'a"\n\x01é', "channel": "answer"}),
        ("turn.completed", {"finish_reason": "stop"}),
    ]


def test_a_part_of_a_log_is_numbered_from_its_first_event() -> None:
    assert [frame["params"]["seq"] for frame in frames(*EVENTS, seq=8)] == [8, 9, 10, 11]


def test_stored_events_have_the_frames_that_they_had() -> None:
    stored = [StoredEvent(seq, event.method, dump(event)) for seq, event in enumerate(EVENTS, 1)]
    again = [json.loads(line) for line in stored_frames("t-1", "s-1", stored).splitlines()]
    assert again == frames(*EVENTS)


def test_a_lone_surrogate_does_not_break_the_stream() -> None:
    assert frames(TurnDelta(text="a\ud800b"))[0]["params"]["text"] == "a?b"
