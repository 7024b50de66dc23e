from __future__ import annotations

import collections
from typing import Final

import pytest

from agentgw_daemon.workers.retrieval.reading.decoding import decode
from tests.workers.retrieval.reading.encodings.samples import WIDE, EncodedSample, encoded, sentences

_BY_ENCODING: Final = collections.defaultdict[str, list[EncodedSample]](list)
for one in encoded():
    # Two of the four are enough here; the table has them all.
    if one.encoding not in WIDE[1:3]:
        _BY_ENCODING[one.encoding].append(one)


@pytest.mark.parametrize("encoding", sorted(_BY_ENCODING))
def test_texts_that_declare_nothing_are_read_right(encoding: str) -> None:
    texts = [one for one in _BY_ENCODING[encoding] if one.whole]
    lines = [one for one in _BY_ENCODING[encoding] if not one.whole]
    assert [one.language for one in texts if not one.is_read()] == []
    assert sum(one.is_read() for one in lines) >= 0.85 * len(lines)


@pytest.mark.parametrize(
    ("language", "encoding"), [("pt", "cp860"), ("fr", "cp863"), ("lt", "iso8859-4"), ("lv", "iso8859-4")]
)
def test_texts_in_what_is_seldom_used_are_read_right(language: str, encoding: str) -> None:
    text = "\n".join(sentences()[language]) + "\n"
    assert decode(text.encode(encoding)).text == text


def test_vietnamese_with_its_tones_behind_the_letters_is_read_right() -> None:
    # Letters and tones as this code page has them, the tones by themselves.
    text = "Âm lic\u0323h la\u0300 lic\u0323h cu\u0309a ngươ\u0300i Viê\u0323t, co\u0301 mươ\u0300i hai tha\u0301ng.\n"
    assert decode(text.encode("cp1258")).text == text


def test_a_clue_far_behind_is_found() -> None:
    data = b"plain words of ASCII only\n" * 20_000 + "Всего хорошего, до завтра, друзья.\n".encode("cp1251") * 3
    assert decode(data).encoding == "cp1251"
