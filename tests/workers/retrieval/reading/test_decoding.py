from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.workers.retrieval.reading.characters import clean
from agentgw_daemon.workers.retrieval.reading.decoding import decode
from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading.reads import assert_covers, read_text

MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
GERMAN = "Die Größe der Straße über München: schöne Grüße an alle Bürger, die hier wohnen."
FRENCH = "L’été dernier, nous avons été à la plage près de Nîmes où le soleil brillait très fort. Ça va ?"
RUSSIAN = "Привет, как дела? Сегодня хорошая погода и мы идём гулять в парк. " * 3
JAPANESE = "今日はいい天気ですね。公園へ散歩に行きましょう。日本語の文章です。" * 3
POLISH = "Zażółć gęślą jaźń. Książka leży na stole, a dziewczynka pije wodę."


@pytest.mark.parametrize("encoding", MARKS)
def test_a_byte_order_mark_tells_the_encoding(encoding: str) -> None:
    found = decode(MARKS[encoding] + GERMAN.encode(encoding))
    assert (found.text, found.encoding, found.note) == (GERMAN, encoding, "")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_its_mark_is_recognised(encoding: str) -> None:
    found = decode(GERMAN.encode(encoding))
    assert found.text == GERMAN
    assert "UTF-16" in found.note


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(GERMAN, "cp1252"), (FRENCH, "cp1252"), (RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"), (JAPANESE, "cp932"),
     (POLISH, "cp1250")],
)  # fmt: skip
def test_old_encodings_are_recognised_and_noted(text: str, encoding: str) -> None:
    found = decode(text.encode(encoding))
    assert found.text == text
    assert found.note.startswith("read as ")


def test_a_few_broken_bytes_do_not_make_utf8_another_encoding() -> None:
    found = decode((RUSSIAN + "|").encode().replace(b"|", b"\xff\xfe") + b"end")
    assert found.encoding == "utf-8"
    assert clean(found.text) == RUSSIAN + "��end"
    assert found.note == "2 bytes are no UTF-8 and were replaced"


def test_a_declared_encoding_is_used_if_it_can_be() -> None:
    assert decode(RUSSIAN.encode("koi8-r"), "koi8-r").text == RUSSIAN
    for useless in ("base64", "no-such", "utf-16", "idna"):
        assert decode(GERMAN.encode("cp1252"), useless).text == GERMAN


@pytest.mark.parametrize(
    "data", [bytes(range(256)) * 40, b"\0" * 1000, b"\x7fELF\1\1\1" + b"\0" * 99, b"\x93\x01\x02\x05\x1f" * 50]
)
def test_binary_junk_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable, match="is binary data, not text"):
        decode(data)


def test_text_that_is_cut_off_in_utf16_is_refused() -> None:
    with pytest.raises(Unreadable, match="begins as UTF-16 text, but is none"):
        decode(codecs.BOM_UTF16_LE + b"a\0b\0c")


def test_a_log_with_null_bytes_after_a_crash_is_text() -> None:
    assert decode(b"A line of a log.\n" * 50 + b"\0" * 8).text.endswith("\0")


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1), st.sampled_from(sorted(MARKS)))
def test_places_in_the_bytes_are_known_in_every_encoding(text: str, encoding: str) -> None:
    data = MARKS[encoding] + text.encode(encoding)
    found = decode(data)
    for at in range(len(text)):
        start = found.offset + found.size(0, at)
        assert data[start : start + found.size(at, at + 1)].decode(encoding) == text[at]


@given(st.binary(max_size=400))
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    try:
        found = decode(data)
    except Unreadable:
        return
    assert found.offset + found.size(0, len(found.text)) == len(data)
    clean(found.text).encode()


def test_a_text_handed_over_counts_in_its_utf8() -> None:
    _, pieces = read_text("a.txt", "Größe. " * 200)
    assert_covers(pieces, ("Größe. " * 200).encode())
