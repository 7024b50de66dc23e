"""States in memory, found by their tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.workers.model.batching.sequence import common
from agentgw_daemon.workers.model.kv.ram_cache import RamPrefixCache

TOKENS = st.lists(st.integers(0, 1), min_size=1, max_size=6)


@given(st.lists(TOKENS, max_size=20), TOKENS)
def test_the_longest_start_is_found_and_its_state_given(saved: list[list[int]], tokens: list[int]) -> None:
    kept = RamPrefixCache()
    for one in saved:
        assert kept.save(one, repr(one).encode())
    most = max((common(one, tokens, len(tokens)) for one in saved), default=0)
    assert kept.match(tokens) == most
    if saved:
        known = [int(digit) for digit in kept.load(tokens).decode() if digit.isdigit()]
        assert common(known, tokens, len(tokens)) == most


def test_a_conversation_that_goes_on_is_kept_once() -> None:
    kept = RamPrefixCache(limit_bytes=10)
    assert kept.save([1, 2], b"12345")
    assert kept.save([1, 2, 3], b"1234567890")
    assert kept.load([1, 2]) == b"1234567890"


def test_those_used_longest_ago_make_room() -> None:
    kept = RamPrefixCache(limit_bytes=10)
    kept.save([1], b"12345")
    kept.save([2], b"12345")
    kept.load([1])
    kept.save([3], b"12345")
    assert [kept.match([token]) for token in (1, 2, 3)] == [1, 0, 1]


def test_what_is_larger_than_the_room_is_not_kept() -> None:
    kept = RamPrefixCache(limit_bytes=10)
    assert not kept.save([1], b"12345678901")
    assert not kept.save([1], b"")
    assert kept.match([1]) == 0
