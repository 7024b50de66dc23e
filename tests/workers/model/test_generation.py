from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentgw_daemon.workers.model.generation import Generation


def run(
    pieces: Iterable[bytes | None], *, stops: Iterable[str] = (), max_tokens: int | None = None
) -> tuple[str, str | None, int]:
    generation = Generation(stops=stops, max_tokens=max_tokens)
    shown = []
    for piece in pieces:
        if generation.finish_reason is not None:
            break
        shown.append(generation.add(piece))
    shown.append(generation.rest())
    return "".join(shown), generation.finish_reason, generation.tokens


@st.composite
def chunked(draw: st.DrawFn, texts: st.SearchStrategy[bytes]) -> tuple[bytes, list[bytes]]:
    whole = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)))))
    edges = [0, *cuts, len(whole)]
    return whole, [whole[start:end] for start, end in itertools.pairwise(edges)]


_BROKEN_UTF8 = st.binary() | st.lists(
    st.sampled_from(
        [b"a", "é".encode(), "🙂".encode(), b"\xf0\x9f", b"\xed\xa0\x80", b"\xf4\x90", b"\xff", b"\xc0\xaf"]
    )
).map(b"".join)


@given(chunked(_BROKEN_UTF8))
def test_bytes_in_any_pieces_give_the_text_of_the_whole(case: tuple[bytes, list[bytes]]) -> None:
    whole, pieces = case
    assert run(pieces)[0] == whole.decode("utf-8", "replace")


@given(
    chunked(st.text("abé").map(str.encode)),
    st.lists(st.text("abé", min_size=1, max_size=4), max_size=3),
)
@example((b"xabcd", [b"x", b"ab", b"cd"]), ["ab", "xabcd"])
def test_stop_strings_cut_alike_whatever_the_pieces(case: tuple[bytes, list[bytes]], stops: list[str]) -> None:
    whole, pieces = case
    text = whole.decode()
    ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    expected = text[: min(ends)[1]] if ends else text
    shown, reason, _ = run(pieces, stops=stops)
    assert shown == expected
    assert reason == ("stop" if ends else None)


def test_what_may_start_a_stop_string_waits_and_is_released_when_it_does_not() -> None:
    generation = Generation(stops=["END"])
    assert generation.add(b"one E") == "one "
    assert generation.add(b"N") == ""
    assert generation.add(b"TRY E") == "ENTRY "
    assert generation.rest() == "E"


def test_a_stop_string_over_three_tokens_is_never_shown() -> None:
    assert run([b"yes", b"\nUs", b"er", b": no"], stops=["\nUser:"]) == ("yes", "stop", 4)


def test_text_after_a_stop_string_in_the_same_token_is_dropped() -> None:
    assert run([b"ab###cd"], stops=["###"]) == ("ab", "stop", 1)


def test_the_end_token_stops_and_counts_not() -> None:
    assert run([b"a", None, b"b"]) == ("a", "stop", 1)


def test_the_end_token_releases_what_was_held_back() -> None:
    assert run([b"a#", None], stops=["##"]) == ("a#", "stop", 1)


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_max_tokens_ends_with_length(limit: int) -> None:
    assert run([b"a", b"b", b"c"], max_tokens=limit) == ("ab"[:limit], "length", limit)


def test_a_character_cut_off_by_max_tokens_is_a_replacement_character() -> None:
    assert run([b"a\xf0\x9f", b"\x99\x82"], max_tokens=1) == ("a\ufffd", "length", 1)


def test_an_empty_stop_string_stops_nothing() -> None:
    assert run([b"ab"], stops=[""]) == ("ab", None, 1)
