"""The wire: how bytes become frames, and which texts are refused."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw.protocol.errors import InvalidRequest, ParseError
from agentgw.transport.framing import MAX_DEPTH, MAX_MESSAGE_BYTES, FrameSplitter, FrameTooLarge, decode, encode


def split(chunks: list[bytes], max_bytes: int = MAX_MESSAGE_BYTES) -> list[bytes]:
    splitter = FrameSplitter(max_bytes)
    return [frame for chunk in chunks for frame in splitter.feed(chunk)]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


LINES = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=30)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(LINES, st.lists(st.integers(min_value=0), max_size=30))
def test_any_chunking_gives_the_same_frames(lines: list[bytes], places: list[int]) -> None:
    data = b"".join(line + b"\n" for line in lines)
    frames = [stripped for line in lines if (stripped := line.strip(b" \t\r"))]
    assert split([data]) == frames
    assert split(cut(data, places)) == frames
    assert split([bytes([byte]) for byte in data]) == frames


@given(LINES, st.lists(st.integers(min_value=0), max_size=30), st.integers(1, 20))
def test_any_chunking_meets_the_limit_at_the_same_frame(lines: list[bytes], places: list[int], limit: int) -> None:
    data = b"".join(line + b"\n" for line in lines)

    def outcome(chunks: list[bytes]) -> tuple[list[bytes], bool]:
        splitter, frames = FrameSplitter(limit), []
        try:
            for chunk in chunks:
                for frame in splitter.feed(chunk):
                    frames.append(frame)
        except FrameTooLarge:
            return frames, True
        return frames, False

    assert outcome(cut(data, places)) == outcome([data])
    assert outcome([data])[1] == any(len(line) > limit for line in lines)


def test_a_thousand_requests_in_one_write_and_in_single_bytes_are_the_same() -> None:
    requests = [{"jsonrpc": "2.0", "id": n, "method": "ping"} for n in range(1000)]
    data = b"".join(map(encode, requests))
    assert [decode(frame) for frame in split([data])] == requests
    assert [decode(frame) for frame in split([bytes([byte]) for byte in data])] == requests


def test_carriage_returns_and_empty_lines_are_no_frames() -> None:
    assert split([b"\n\r\n  \n\t\r\n1\r\n\n2\n"]) == [b"1", b"2"]


def test_a_partial_frame_is_seen_until_its_newline() -> None:
    splitter = FrameSplitter()
    assert not splitter.has_partial
    assert list(splitter.feed(b'{"a":')) == []
    assert splitter.has_partial
    assert list(splitter.feed(b"1}\n")) == [b'{"a":1}']
    assert not splitter.has_partial


def test_frames_given_before_the_reader_stopped_are_not_given_again() -> None:
    splitter = FrameSplitter()
    for frame in splitter.feed(b"1\n2\n3"):
        assert frame == b"1"
        break
    assert list(splitter.feed(b"4\n")) == [b"2", b"34"]


def test_a_frame_of_exactly_the_limit_is_accepted() -> None:
    frame = b'"' + b"a" * (MAX_MESSAGE_BYTES - 2) + b'"'
    assert split([frame, b"\n"]) == [frame]
    assert decode(frame) == "a" * (MAX_MESSAGE_BYTES - 2)


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_one_byte_more_than_the_limit_is_refused(ending: bytes) -> None:
    with pytest.raises(FrameTooLarge, match="frame too large") as caught:
        split([b"a" * (MAX_MESSAGE_BYTES + 1) + ending])
    assert caught.value.code == InvalidRequest.code


def test_frames_before_one_that_is_too_large_are_given() -> None:
    splitter = FrameSplitter(8)
    frames = splitter.feed(b"1\n2\n" + b"a" * 9 + b"\n3\n")
    assert next(frames) == b"1"
    assert next(frames) == b"2"
    with pytest.raises(FrameTooLarge):
        next(frames)


def test_a_flood_without_newline_holds_no_memory() -> None:
    splitter, piece = FrameSplitter(), b"a" * 65_536
    refused = 0
    tracemalloc.start()
    try:
        for _ in range(1024):  # 64 MiB; a caller that goes on feeding after the refusal gains nothing either
            try:
                list(splitter.feed(piece))
            except FrameTooLarge:
                refused += 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert refused >= 60
    assert peak < 5 << 20


# Trap 11: what Python's own reader lets in, or ends on in ways of its own.
REFUSED = {
    "nothing": (b"", ParseError),
    "half a value": (b'{"json', ParseError),
    "two values": (b"{} {}", ParseError),
    "a comment": (b"1 // one", ParseError),
    "single quotes": (b"{'a': 1}", ParseError),
    "trailing comma": (b"[1,]", ParseError),
    "NUL": (b"\x00", ParseError),
    "NUL inside a string": (b'"a\x00b"', ParseError),
    "byte order mark": (b"\xef\xbb\xbf{}", ParseError),
    "UTF-16": ("{}".encode("utf-16"), ParseError),
    "UTF-32": ("{}".encode("utf-32-le"), ParseError),
    "Latin-1": (b'"caf\xe9"', ParseError),
    "overlong UTF-8": (b'"\xc0\xaf"', ParseError),
    "surrogate in UTF-8": (b'"\xed\xa0\x80"', ParseError),
    "NaN": (b"NaN", ParseError),
    "infinity": (b"[Infinity]", ParseError),
    "minus infinity": (b"-Infinity", ParseError),
    "1e999": (b"[1e999]", ParseError),
    "-1E999": (b"[-1E999]", ParseError),
    "400 digits before the point": (b"1" * 400 + b".0", ParseError),
    "2^63": (str(2**63).encode(), ParseError),
    "-2^63-1": (str(-(2**63) - 1).encode(), ParseError),
    "5,000 digits": (b"9" * 5000, ParseError),
    "duplicate key": (b'{"a":1,"a":2}', ParseError),
    "duplicate key, deep": (b'[{"x":{"a":1,"\\u0061":2}}]', ParseError),
    "lone high surrogate": (b'"\\ud800"', ParseError),
    "lone low surrogate": (b'["\\udc00"]', ParseError),
    "lone surrogate as a key": (b'{"\\uDFFF":1}', ParseError),
    "nested too deep": (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), InvalidRequest),
    "objects nested too deep": (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), InvalidRequest),
    "100,000 brackets": (b"[" * 100_000, InvalidRequest),
    "1,000,000 braces": (b'{"":' * 260_000, InvalidRequest),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    frame, error = REFUSED[name]
    with pytest.raises(error) as caught:
        decode(frame)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


ACCEPTED = {
    "largest integer": (str(2**63 - 1).encode(), 2**63 - 1),
    "smallest integer": (str(-(2**63)).encode(), -(2**63)),
    "largest float": (b"1.7976931348623157e308", 1.7976931348623157e308),
    "small float": (b"1e-999", 0.0),
    "surrogate pair": (b'"\\ud83d\\ude00"', "😀"),
    "escaped NUL": (b'"\\u0000"', "\x00"),
    "brackets in a string": (b'["' + b"[" * 500 + b'"]', ["[" * 500]),
    "brackets after an escaped quote": (b'["\\"' + b"{" * 500 + b'"]', ['"' + "{" * 500]),
    "brackets after an escaped backslash": (
        b'["\\\\","' + b"[" * 500 + b'"]',
        ["\\", "[" * 500],
    ),
    "as deep as allowed": (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)),
    "wide, not deep": (b"[" + b"[]," * 500 + b"[]]", [[] for _ in range(501)]),
    "spaces around": (b' { "a" : 1 } ', {"a": 1}),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str) -> None:
    frame, value = ACCEPTED[name]
    assert decode(frame) == value


@given(JSON)
def test_what_encode_writes_decode_reads(value: Any) -> None:
    frame = encode(value)
    assert frame.endswith(b"\n")
    assert frame.count(b"\n") == 1
    assert decode(frame[:-1]) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        value = decode(data)
    except (ParseError, InvalidRequest):
        return
    # A value that was let in gets out again.
    assert decode(encode(value)[:-1]) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_encode_never_writes_what_is_not_json(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode({"x": value})


def test_encode_keeps_the_stream_whole_for_a_lone_surrogate() -> None:
    assert encode("a\ud800b") == b'"a?b"\n'


BOMBS = {
    "objects": b"[" + b"{}," * 340_000 + b"{}]",
    "integers": b"[" + b"1," * 500_000 + b"1]",
    "a quote that never closes": b"[" * 65 + b'"' + b'\\"' * 500_000,
    "quotes only": b"[" * 65 + b'"' * 1_000_000,
    "backslashes only": b"[" * 65 + b'"' + b"\\" * 1_000_000,
    "one long string": b'["' + b"a" * 1_000_000 + b'"]',
    "digits": b"[" + b"1" * 1_000_000 + b"]",
    "many long numbers": b"[" + (b"1" * 18 + b",") * 55_000 + b"1]",
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_frame_of_a_mebibyte_holds_the_reader_up(name: str) -> None:
    """Frames that take 2 to 150 ms. A scan that starts again at every quote takes hours: the run's guard ends it."""
    assert len(BOMBS[name]) <= MAX_MESSAGE_BYTES
    with contextlib.suppress(ParseError, InvalidRequest):
        decode(BOMBS[name])
