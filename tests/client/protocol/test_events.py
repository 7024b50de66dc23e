"""The table of notifications: complete, documented, and each a valid JSON Schema."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agentgw.protocol import events
from agentgw.protocol.events import EVENTS, TurnEvent
from agentgw.protocol.methods import METHODS
from agentgw.protocol.records.schema import bind, dump, fields_of
from agentgw.transport.framing import decode, encode
from agentgw_daemon.server.calls.openrpc import TURN_ENVELOPE, event_name, event_schema
from tests.client.protocol.strategies import records

# Name and payload. Clients rely on them.
PAYLOADS = {
    "turn.started": ["skill", "model"],
    "turn.progress": ["phase", "done", "total", "position"],
    "turn.delta": ["text", "channel"],
    "turn.approval": [
        "approval_id",
        "call_id",
        "tool",
        "arguments",
        "cwd",
        "expires_at",
        "title",
        "details",
        "diff",
    ],
    "turn.tool_call": ["call_id", "tool", "arguments"],
    "turn.tool_result": ["call_id", "ok", "content", "denied"],
    "turn.sources": ["chunks"],
    "turn.notice": ["code", "text"],
    "turn.steered": ["text"],
    "turn.completed": ["finish_reason"],
    "chat.delta": ["text", "channel"],
    "replay.progress": ["replayed_turn_id", "phase", "done", "total", "position"],
    "model.progress": ["model", "done_bytes", "total_bytes"],
    "document.progress": ["files_done", "files_total", "chunks", "rate", "eta_s", "source"],
    "event": ["topic", "name", "data"],
}
by_event = pytest.mark.parametrize("event", EVENTS, ids=event_name)


def test_names_and_payloads_are_as_listed() -> None:
    assert {event_name(event): [field.name for field in fields_of(event)] for event in EVENTS} == PAYLOADS


def test_every_record_of_the_module_is_in_the_table() -> None:
    made_here = {
        thing
        for _, thing in inspect.getmembers(events, inspect.isclass)
        if thing.__module__ == events.__name__ and hasattr(thing, "method")
    }
    assert set(EVENTS) == made_here
    assert len(set(EVENTS)) == len(EVENTS)


def test_the_turn_union_is_the_turn_rows() -> None:
    assert set(get_args(TurnEvent)) == {event for event in EVENTS if event_name(event).startswith("turn.")}


def test_every_notification_is_caused_by_some_method() -> None:
    assert {event for row in METHODS.values() for event in row.events} == set(EVENTS)


@by_event
def test_a_notification_is_documented_and_makes_a_valid_schema(event: type) -> None:
    assert inspect.getdoc(event)
    Draft202012Validator.check_schema(event_schema(event))


@by_event
def test_the_envelope_of_a_turn_collides_with_no_payload(event: type) -> None:
    assert not set(TURN_ENVELOPE) & {field.name for field in fields_of(event)}


@by_event
@settings(max_examples=20)
@given(data=st.data())
def test_every_notification_survives_the_wire_and_meets_its_schema(event: type, data: Any) -> None:
    value = data.draw(records(event))
    wire = decode(encode(dump(value)).rstrip(b"\n"))
    assert bind(event, wire) == value
    envelope = {"turn_id": "t", "session_id": "s", "seq": 1} if event_name(event).startswith("turn.") else {}
    Draft202012Validator(event_schema(event)).validate({**envelope, **wire})


def test_a_turn_notification_without_its_number_does_not_meet_the_schema() -> None:
    schema = event_schema(events.TurnDelta)
    assert not Draft202012Validator(schema).is_valid({"turn_id": "t", "session_id": "s", "text": "x"})
    assert not Draft202012Validator(schema).is_valid({"turn_id": "t", "session_id": "s", "seq": 0, "text": "x"})
