"""The file format: what was written is read, and nothing else is."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.workers.protocol.kv_files import segment

TOKENS = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=40)


def make(
    tokens: list[int], payload: bytes, parent: bytes = segment.ROOT, start: int = 0
) -> tuple[segment.SegmentHeader, bytes]:
    header = segment.describe(parent, start, segment.pack(tokens), len(payload))
    return header, segment.encode(header, payload) + payload


@given(TOKENS, st.binary(max_size=60), st.integers(0, 5000))
def test_a_segment_is_read_as_it_was_written(tokens: list[int], payload: bytes, start: int) -> None:
    parent = b"p" * segment.DIGEST_BYTES if start else segment.ROOT
    header, file = make(tokens, payload, parent, start)
    read = segment.decode(file, len(file))
    assert dataclasses.replace(read, payload_crc=0) == header
    assert (read.end, read.file_bytes) == (start + len(tokens), len(file))
    assert segment.header_bytes(file, len(file)) == len(file) - len(payload)
    assert segment.is_intact(read, payload)


@given(TOKENS, st.binary(min_size=1, max_size=60), st.data())
def test_a_flipped_bit_is_seen_wherever_it_is(tokens: list[int], payload: bytes, data: st.DataObject) -> None:
    _, file = make(tokens, payload)
    at = data.draw(st.integers(0, len(file) * 8 - 1))
    damaged = bytearray(file)
    damaged[at // 8] ^= 1 << at % 8
    with pytest.raises(segment.DamagedSegment):
        header = segment.decode(bytes(damaged), len(damaged))
        if not segment.is_intact(header, bytes(damaged[-len(payload) :])):
            raise segment.DamagedSegment


@given(TOKENS, st.binary(max_size=60), st.data())
def test_a_file_that_is_shorter_or_longer_is_none(tokens: list[int], payload: bytes, data: st.DataObject) -> None:
    _, file = make(tokens, payload)
    length = data.draw(st.integers(0, len(file) + 20).filter(lambda length: length != len(file)))
    with pytest.raises(segment.DamagedSegment):
        segment.decode((file + bytes(20))[:length], length)


@given(st.binary(max_size=200), st.integers(0, 2**60))
def test_foreign_bytes_are_none(head: bytes, length: int) -> None:
    with pytest.raises(segment.DamagedSegment):
        segment.decode(head, length)
    with pytest.raises(segment.DamagedSegment):
        segment.decode(segment.MAGIC + head, length)


def test_another_version_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "VERSION", 2)
    _, file = make([1, 2], b"x")
    monkeypatch.undo()
    with pytest.raises(segment.DamagedSegment, match="version"):
        segment.decode(file, len(file))


@pytest.mark.parametrize(("start", "parent"), [(0, b"p" * segment.DIGEST_BYTES), (7, segment.ROOT)])
def test_only_what_starts_at_zero_has_no_parent(start: int, parent: bytes) -> None:
    _, file = make([1, 2], b"x", parent, start)
    with pytest.raises(segment.DamagedSegment):
        segment.decode(file, len(file))


def test_tokens_beyond_every_context_are_refused() -> None:
    _, file = make([1, 2], b"x", b"p" * segment.DIGEST_BYTES, segment.MAX_TOKENS - 1)
    with pytest.raises(segment.DamagedSegment, match="too many"):
        segment.decode(file, len(file))


@given(TOKENS, TOKENS)
def test_a_digest_is_of_all_tokens_before_too(one: list[int], other: list[int]) -> None:
    packed = segment.pack([5])
    first, second = (segment.digest(segment.ROOT, segment.pack(tokens)) for tokens in (one, other))
    assert (segment.digest(first, packed) == segment.digest(second, packed)) == (one == other)
