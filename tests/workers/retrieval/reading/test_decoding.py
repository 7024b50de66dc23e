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
    ("label", "codec"),
    [
        ("iso-8859-1", "cp1252"), ("shift_jis", "cp932"), ("gb2312", "gb18030"), ("iso-2022-jp", "iso2022_jp"),
        ("euc-kr", "cp949"), ("big5", "big5hkscs"), ("x-mac-cyrillic", "mac_cyrillic"), ("ibm850", "cp850"),
        ("latin-1-unix", "cp1252"), ("KOI8-R", "koi8_r"), ("iso-latin-1;", "cp1252"), ("dos-850", "cp850"),
        ("850", "cp850"), ("x-windows-949", "cp949"), ("cp936", "gb18030"), ("jis", "iso2022_jp"),
        ("'unicode'", "utf_16_le"), ("utf-7", "utf_7"), ("hz-gb-2312", "hz"),
    ],
)  # fmt: skip
def test_a_declared_label_is_what_browsers_take_it_for(label: str, codec: str) -> None:
    text = {"cp932": "①髙い", "gb18030": "镕€", "cp949": "똠방", "cp1252": "“5 €”", "big5hkscs": "𠝹邨"}.get(codec, "")
    letters = {"mac_cyrillic": "Я да", "koi8_r": "Я да", "cp850": "Größe", "hz": "汉字"}.get(codec, "漢字 テスト")
    text = (text or letters) + "\nend"
    data = text.encode(codec)
    found = decode(data, label)
    assert (found.text, found.note) == (text, "")
    assert [found.size(0, at) for at in (0, len(text))] == [0, len(data)]


def test_a_wrong_declaration_is_told() -> None:
    assert decode("Größe".encode(), "iso-8859-1").note == "says that it is in iso-8859-1, and is in UTF-8"
    found = decode(GERMAN.encode("cp1252"), "utf-8")
    assert found.text == GERMAN
    assert found.note == "says that it is in utf-8, and is not; read as CP1252, because it is not UTF-8"
    assert decode("一".encode("gb18030"), "gb2312").text == "一"


def test_broken_bytes_in_a_declared_encoding_are_replaced_and_told() -> None:
    found = decode(JAPANESE.encode("cp932") + b"\x81 end", "shift_jis")
    assert clean(found.text) == JAPANESE + "\ufffd end"
    assert found.note == "1 bytes are not in shift_jis and were replaced"


def test_lines_of_two_encodings_are_read_each_in_its_own() -> None:
    lines = ["Die Größe", "plain", "schöne Grüße an die Bürger", "über den Fluss", "für die größere Straße"]
    data = b"\n".join(line.encode("cp1252" if number > 2 else "utf-8") for number, line in enumerate(lines))
    found = decode(data)
    assert found.text == "\n".join(lines)
    assert found.note == "2 lines are no UTF-8 and were read as CP1252"
    for at in range(len(found.text)):
        start = found.size(0, at)
        piece = data[start : start + found.size(at, at + 1)]
        assert piece.decode("utf-8" if len(piece) > 1 else "cp1252") == found.text[at]


def test_japanese_with_escapes_has_its_places() -> None:
    text = "Kopf\n漢字です。\nFuß"
    found = decode("Kopf\n漢字です。\nEnde".encode("iso2022_jp"))
    assert found.text == text.replace("Fuß", "Ende")
    assert found.size(0, 5) == 5
    assert decode(b"\x1b(B\x1b[m plain \x1b[1mbold").encoding == "utf-8"


@pytest.mark.parametrize(
    "data", [bytes(range(256)) * 40, b"\0" * 1000, b"\x7fELF\1\1\1" + b"\0" * 99, b"\x93\x01\x02\x05\x1f" * 50]
)
def test_binary_junk_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable, match="is binary data, not text"):
        decode(data)


def test_what_only_begins_as_utf16_is_refused() -> None:
    with pytest.raises(Unreadable, match="begins as UTF-16 text, but is none"):
        decode(codecs.BOM_UTF16_LE + bytes(range(0xD8, 0xE0)) * 99)


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [GERMAN * 20, RUSSIAN * 20, JAPANESE * 20], ids=["German", "Russian", "Japanese"])
def test_a_stray_byte_in_utf16_costs_one_character(text: str, order: str) -> None:
    data = text.encode(order)
    stray = data[:1200] + b"\x07" + data[1200:]
    assert decode(stray).text == text[:600] + "\ufffd" + text[600:]
    cut = decode(MARKS[order] + data[:-1])
    assert cut.text == text[:-1] + "\ufffd"
    assert cut.note == "1 stray bytes of UTF-16 were replaced"
    assert cut.offset + cut.size(0, len(cut.text)) == len(data) + 1


@pytest.mark.parametrize("zeros", [8, 4096, 60_000])
def test_a_log_with_null_bytes_after_a_crash_is_text(zeros: int) -> None:
    log = b"A line of a log.\n" * 50 + b"\0" * zeros + b"Another one.\n"
    assert decode(log).text == log.decode()


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


def test_text_that_is_cut_off_inside_of_its_last_letter_is_utf8() -> None:
    for text in ("Straße ß", "Straße €", "Straße 👍"):
        found = decode(text.encode()[:-1])
        assert clean(found.text).startswith("Straße \ufffd")
        assert "no UTF-8" in found.note
    assert decode("Die Größe der Straße".encode("cp1252")).text == "Die Größe der Straße"


def test_names_that_zeros_part_are_text() -> None:
    names = b"\0".join([b"/usr/bin/a", "/home/b/Größe".encode(), b"words here"] * 20)
    assert decode(names).text == names.decode()


@pytest.mark.parametrize("encoding", ["utf-32-le", "utf-32-be"])
def test_pictures_in_utf32_are_letters_like_others(encoding: str) -> None:
    text = "👍 a great day 👍 it is 😀"
    assert decode(text.encode(encoding)).text == text


def test_a_hole_in_old_text_does_not_hide_its_language() -> None:
    data = RUSSIAN.encode("cp1251") + b"\0" * 4096 + RUSSIAN.encode("cp1251")
    assert decode(data).text.replace("\0", "") == RUSSIAN * 2


def test_what_is_said_to_be_utf8_is_that_but_for_a_broken_byte() -> None:
    assert clean(decode(b"caf\xc3\xa9 \xff", "utf-8").text) == "café \ufffd"


@pytest.mark.parametrize("said", ["iso-2022-jp", "iso-2022-kr", "hz-gb-2312", "utf-7"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp932", "euc_jp"])
def test_what_is_said_to_have_escapes_and_has_none_is_read_as_it_is(said: str, encoding: str) -> None:
    found = decode(JAPANESE.encode(encoding), said)
    assert found.text == JAPANESE
    assert f"says that it is in {said}, and is" in found.note or said == "utf-7"
    assert decode(b"plain words", said).text == "plain words"


def test_colours_do_not_hide_the_encoding() -> None:
    text = "\x1b[31mERROR\x1b[0m " + JAPANESE
    assert decode(text.encode("cp932")).text == text


def test_lines_that_end_as_on_old_macs_are_in_an_encoding_of_these() -> None:
    text = "Die Größe\rder Straße\rüber München\r"
    assert decode(text.encode("mac_roman")).text == text


@pytest.mark.parametrize("junk", [b"\x1b$" + bytes(6) + b"9", b"\x1b$(" + b"\x01" * 9, b"\x1b" * 40])
def test_what_begins_as_an_escape_and_does_not_end_costs_its_bytes_only(junk: bytes) -> None:
    data = "日本語の文章です。".encode("iso2022_jp") + junk + b" and the end of it"
    found = decode(data, "iso-2022-jp")
    assert found.text.startswith("日本語の文章です。")
    assert found.text.endswith("the end of it")
    assert found.size(0, len(found.text)) == len(data)
