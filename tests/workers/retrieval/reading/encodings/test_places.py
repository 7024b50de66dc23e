"""Places of characters in ISO-2022, against a decoder that is given a byte at a time."""

from __future__ import annotations

import array
import codecs

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentgw_daemon.workers.retrieval.reading.encodings.places import stepped

ENCODINGS = ("iso2022_jp", "iso2022_jp_2", "iso2022_jp_3", "iso2022_jp_2004", "iso2022_kr")


def by_bytes(data: bytes, encoding: str) -> tuple[str, array.array[int]]:
    decoder = codecs.getincrementaldecoder(encoding)("agentgw.damaged")
    text, places, begin = "", array.array("I"), 0
    for at in range(len(data)):
        try:
            made = decoder.decode(data[at : at + 1])
        except UnicodeError:
            decoder.reset()
            made = "\ufffd"
        if made:
            text += made
            places.extend(min(begin + number, at) for number in range(len(made)))
            begin = at + 1
    if made := decoder.decode(b"", final=True):
        text += made
        places.extend(min(begin + number, len(data)) for number in range(len(made)))
    if places:
        places[0] = 0
    places.append(len(data))
    return text, places


WORDS = st.text(st.sampled_from("aZ 9~\n日本語テキ。か゚é한국어α\u3000"), max_size=12)
NOISE = st.binary(max_size=6) | st.sampled_from(
    [b"\x1b$B", b"\x1b(B", b"\x1b(J", b"\x1b.A\x1bNi", b"\x0e", b"\x0f", b"\x1b"]
)


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(parts=st.lists(WORDS | NOISE, max_size=8))
@example(parts=["日本語" * 700, "a" * 4200, b"\x1b$B\x46\x7c\x46"])
@example(parts=[b"\x1b$B\xff\x46\x7c\xff\x46\x7c"])
@example(parts=[b"\x1b$", bytes(6), "9"])
def test_runs_have_the_text_and_the_places_of_single_bytes(encoding: str, parts: list[str | bytes]) -> None:
    data = b"".join(part if isinstance(part, bytes) else part.encode(encoding, "ignore") for part in parts)
    assert stepped(data, encoding) == by_bytes(data, encoding)


def test_a_text_cut_within_a_character_ends_in_a_mark() -> None:
    whole = "これは日本語".encode("iso2022_jp").removesuffix(b"\x1b(B")
    text, places = stepped(whole[:-1], "iso2022_jp_ext")
    assert text == "これは日本\ufffd"
    assert places[-1] == len(whole) - 1


def test_damaged_bytes_take_no_more_than_their_characters() -> None:
    begin, middle, end = b"\x1b$B\x46\x7c", b"\xff\xfe", b"\x46\x7c\x1b(B"
    text, places = stepped(begin + middle + end, "iso2022_jp_ext")
    assert text[0] == "日"
    assert text.endswith("日")
    assert len(places) == len(text) + 1
