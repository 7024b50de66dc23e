"""Event streams, cut anywhere, with every line end there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.inference.engines.server_events import EventStream, EventTooLarge, ServerEvent

STREAM = b': ping\nevent: a\nid: 1\nretry: 5\ndata: one\ndata:two\n\ndata: {"x":1}\n\n\n\nevent: b\ndata\n\n'
EVENTS = [
    ServerEvent(name="a", data="one\ntwo"), ServerEvent(name="", data='{"x":1}'), ServerEvent(name="b", data=""),
]  # fmt: skip


def read(*chunks: bytes, most: int = 1000) -> list[ServerEvent]:
    stream = EventStream(most)
    return [event for chunk in chunks for event in stream.feed(chunk)] + list(stream.close())


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@given(cuts=st.lists(st.integers(min_value=0, max_value=120)))
def test_cuts_line_ends_and_a_byte_order_mark_change_nothing(end: bytes, bom: bytes, cuts: list[int]) -> None:
    data = bom + STREAM.replace(b"\n", end)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    assert read(*(data[edges[at] : edges[at + 1]] for at in range(len(edges) - 1))) == EVENTS


def test_every_single_byte_may_come_by_itself() -> None:
    data = STREAM.replace(b"\n", b"\r\n")
    assert read(*(data[at : at + 1] for at in range(len(data)))) == EVENTS


@pytest.mark.parametrize("rest", [b"data: last", b"data: last\n", b"data: last\r"])
def test_the_last_event_counts_without_its_blank_line(rest: bytes) -> None:
    assert read(rest) == [ServerEvent(name="", data="last")]


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert read(b"data: gr\xfc\xdfe\n\n") == [ServerEvent(name="", data="gr��e")]


@pytest.mark.parametrize("flood", [b"data: xxxxxxx\n", b"xxxxxxxxx", b"data\n", b": xxxxxxxxx"])
def test_no_event_and_no_line_grows_beyond_the_bound(flood: bytes) -> None:
    stream = EventStream(100)
    with pytest.raises(EventTooLarge, match="more than 100 bytes"):
        for _ in range(200):
            list(stream.feed(flood))


def test_many_small_events_are_not_one_large_one() -> None:
    assert len(read(*([b"data: xxxxxxx\n\n"] * 50), most=100)) == 50


def test_what_is_no_field_is_kept_to_be_told_but_not_all_of_it() -> None:
    stream = EventStream(1 << 20)
    assert list(stream.feed(b"upstream timed out\r\n" + b"x" * 10_000 + b"\n")) == []
    assert stream.events == 0
    assert stream.strays.startswith(b"upstream timed out\nxxx")
    assert len(stream.strays) <= 2048
