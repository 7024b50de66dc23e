"""Notifications as server-sent events."""

from __future__ import annotations

import json

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from agentgw.protocol.calls.shared import Done
from agentgw.protocol.events import ChatDelta, TurnDelta, TurnEvent, TurnNotice
from agentgw_daemon.events.stored_event import StoredEvent
from agentgw_daemon.events.turn_log import TurnBatch
from agentgw_daemon.gateway.http.event_stream import BatchBytes, EventBuffer, ServerSentEvents, last_event
from agentgw_daemon.server.calls.turn_frames import turn_frames


def written(seq: int, *events: TurnEvent, after: int = 0) -> bytes:
    return ServerSentEvents(BatchBytes(), after).turn_events("t-1", "s-1", seq, events)


def test_an_event_has_the_number_the_name_and_the_parameters_of_its_notification() -> None:
    assert written(7, TurnDelta(text="hi")) == (
        b"id: 7\nevent: turn.delta\n"
        b'data: {"turn_id":"t-1","session_id":"s-1","seq":7,"text":"hi","channel":"answer"}\n\n'
    )


def test_what_belongs_to_no_turn_has_no_number() -> None:
    made = ServerSentEvents(BatchBytes()).other_event(ChatDelta(text="hi"))
    assert made == b'event: chat.delta\ndata: {"text":"hi","channel":"answer"}\n\n'


def test_events_up_to_the_last_one_seen_are_left_out() -> None:
    events = [TurnDelta(text=str(seq)) for seq in range(1, 6)]
    stored = [StoredEvent(seq, "turn.delta", {"text": "x"}) for seq in range(1, 6)]
    for made in (written(1, *events, after=3), ServerSentEvents(BatchBytes(), 3).stored_events("t-1", "s-1", stored)):
        assert made.count(b"event: ") == 2
        assert made.startswith(b"id: 4\n")
    assert written(1, *events, after=9) == b""


@given(st.text(), st.sampled_from(["answer", "reasoning"]), st.integers(1, 10**9))
def test_the_data_of_an_event_is_what_the_socket_has_as_parameters(text: str, channel: str, seq: int) -> None:
    for one in (TurnDelta(text=text, channel=channel), TurnNotice(code="x", text=text)):
        on_the_socket = json.loads(turn_frames("t-1", "s-1", seq, (one,)))
        _, name, data, *_ = written(seq, one).decode().split("\n")
        assert name == f"event: {on_the_socket['method']}"
        assert json.loads(data.removeprefix("data: ")) == on_the_socket["params"]


@given(st.text(), st.integers(1, 10**9))
def test_no_text_can_end_an_event_or_begin_another(text: str, seq: int) -> None:
    for one in (TurnDelta(text=text), TurnNotice(code="x", text=text)):
        lines = written(seq, one).split(b"\n")
        assert lines[0] == b"id: %d" % seq
        assert lines[1].startswith(b"event: turn.")
        assert lines[2].startswith(b"data: {")
        assert lines[3:] == [b"", b""]
        assert b"\r" not in lines[2]


def test_what_is_shared_by_many_readers_is_written_once_and_by_who_has_seen_some_anew() -> None:
    batch = TurnBatch([TurnDelta(text=str(seq)) for seq in range(3)])
    first = written(1, *batch)
    shared = BatchBytes()
    made = ServerSentEvents(shared).turn_events("t-1", "s-1", 1, batch)
    assert made == first
    assert ServerSentEvents(shared).turn_events("t-1", "s-1", 1, batch) is made
    assert ServerSentEvents(shared, 2).turn_events("t-1", "s-1", 1, batch) == written(1, *batch, after=2)


def test_bytes_of_a_batch_are_kept_as_long_as_the_batch() -> None:
    shared = BatchBytes()
    before = repr(vars(shared))
    batch = TurnBatch([TurnDelta(text="x")])
    assert shared.bytes_of(batch, lambda: b"made") == shared.bytes_of(batch, lambda: b"made again") == b"made"
    del batch
    assert repr(vars(shared)) == before


def test_the_last_event_is_a_record_without_a_number() -> None:
    assert last_event("result", Done()) == b'event: result\ndata: {"ok":true}\n\n'


@pytest.mark.anyio
async def test_a_buffer_that_is_full_holds_whoever_fills_it_until_it_is_emptied() -> None:
    buffer = EventBuffer(limit_bytes=10)
    one = written(1, TurnDelta(text="x" * 20))
    async with trio.open_nursery() as nursery:
        await buffer.put(one)
        nursery.start_soon(buffer.put, one)
        await wait_all_tasks_blocked()
        assert buffer.take().count(b"event: ") == 1
        await wait_all_tasks_blocked()
        assert buffer.take().count(b"event: ") == 1


@pytest.mark.anyio
async def test_a_buffer_ends_once_all_is_taken() -> None:
    buffer = EventBuffer()
    buffer.end(b"last")
    await buffer.wait()
    assert not buffer.finished
    assert buffer.take() == b"last"
    assert buffer.finished


@pytest.mark.anyio
async def test_what_comes_while_nothing_is_held_is_sent_at_once_and_what_comes_behind_a_rest_is_held() -> None:
    buffer, sent = EventBuffer(), []
    room = 2

    def send_now(piece: bytes) -> bool:
        sent.append(piece)
        return len(sent) < room

    await buffer.put(b"before")
    assert (buffer.take(), sent) == (b"before", [])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(buffer.wait, send_now)
        await wait_all_tasks_blocked()
        await buffer.put(b"one")
        await wait_all_tasks_blocked()
        assert nursery.child_tasks
        buffer.offer(b"two")
        await buffer.put(b"three")
        buffer.end(b"last")
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks
    assert sent == [b"one", b"two"]
    assert (buffer.take(), buffer.finished) == (b"threelast", True)


def test_events_offered_to_a_reader_that_is_behind_end_its_stream_rather_than_leave_a_hole() -> None:
    buffer = EventBuffer(limit_bytes=1)
    one = written(1, TurnDelta(text="x"))
    buffer.offer(one)
    buffer.offer(one)
    assert buffer.take().count(b"event: ") == 1
    assert buffer.finished
