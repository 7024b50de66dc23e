from __future__ import annotations

import base64
import binascii
import random
from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.reading.values import ReadingLimits, Unreadable
from tests.workers.retrieval.reading.counting import by_pieces
from tests.workers.retrieval.reading.reads import assert_sound, read_bytes, read_text

PACKED = random.Random(5).randbytes(30_000)
BASE64 = base64.b64encode(PACKED).decode()
LINES = "\n".join(BASE64[at : at + 76] for at in range(0, 4000, 76))


@pytest.mark.parametrize(
    "noise",
    [
        f"data:image/png;base64,{BASE64}",
        f"data:;base64,{BASE64}",
        f"data:application/font-woff;charset=utf-8;base64,{BASE64}",
        "data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg'><path d='" + "M 1 2 L 3 4 " * 90 + "'/></svg>",
        "data:image/svg+xml,%3Csvg%3E%3Cpath d='" + "M1 2 " * 90 + "'/%3E%3C/svg%3E",
        "data:text/plain," + "x%20" * 300,
        BASE64,
        PACKED.hex(),
        LINES,
        "> " + LINES.replace("\n", "\r\n> "),
    ],
    ids=lambda noise: noise[:24],
)
def test_encoded_data_is_in_no_chunk(noise: str) -> None:
    text = f"The bees dance.\n\n![a picture]({noise})\n\n{noise}\n\nThe hive is full.\n"
    document, pieces = read_text("a.md", text)
    assert_sound(pieces, ReadingLimits(), by_pieces)
    found = " ".join(piece.text for piece in pieces)
    assert len(found) < 200
    for expected in ("The bees dance.", "a picture", "The hive is full."):
        assert expected in found
    assert any(note.startswith("encoded data was left out: ") for note in document.parser_notes.notes)
    for piece in pieces:
        assert text.encode()[piece.first_byte : piece.last_byte].decode() == piece.text


def test_uuencoded_data_is_in_no_chunk() -> None:
    data = "".join(binascii.b2a_uu(PACKED[at : at + 45]).decode() for at in range(0, 910, 45))
    _, pieces = read_text("a.txt", f"A file:\n\nbegin 644 picture.png\n{data}`\nend\n\nIt was this.\n")
    assert [piece.text for piece in pieces] == ["A file:\n\nbegin 644 picture.png", "`\nend\n\nIt was this."]


BINHEX = "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"


def _in_binhex() -> str:
    letters = ":" + "".join(BINHEX[byte % 64] for byte in PACKED) + ":"
    return "\n".join(letters[at : at + 64] for at in range(0, len(letters), 64))


@pytest.mark.parametrize(
    "data", [_in_binhex(), f"<~{base64.a85encode(PACKED, wrapcol=75).decode()}~>"],
    ids=["BinHex", "Ascii85"],
)  # fmt: skip
def test_what_older_mail_encodes_is_in_no_chunk(data: str) -> None:
    document, pieces = read_text("a.txt", f"Words before it.\n{data}\nWords behind it.\n")
    assert [piece.text for piece in pieces] == ["Words before it.", "Words behind it."]
    assert document.parser_notes.notes[0].startswith("encoded data was left out: 1 stretches")


@pytest.mark.parametrize(
    "text",
    [
        "<~ some words that say what is meant, however long ~>" * 20,
        ":" + "-" * 63 + "\nA ruler stands above this text, and below it another.\n:" + "-" * 63,
    ],
)
def test_marks_of_older_mail_alone_leave_the_text(text: str) -> None:
    document, pieces = read_text("a.txt", text)
    assert document.parser_notes.notes == []
    assert pieces[0].text.startswith(text[:100])


def test_the_addresses_of_a_page_are_in_no_chunk(tmp_path: Path) -> None:
    page = f"<p>Seen. <img src='data:image/png;base64,{BASE64}' alt='data:image/png;base64,{BASE64}'> After.</p>"
    _, pieces = read_bytes(tmp_path, "a.html", page.encode())
    assert [piece.text for piece in pieces] == ["Seen.", "After."]


@pytest.mark.parametrize(
    "text",
    [
        "a" * 5000,
        "=" * 5000,
        "GATTACA" * 500,
        "/usr/share/doc/some-package/examples/" * 40,
        "ThisIsANameOfAClassThatSomebodyMadeUpForFun" * 30,
        "Das ist ein langer Satz ohne Ende und mit 12 Zahlen, " * 50,
        "\n".join(f"{n:064x}  file-{n}.tar.gz" for n in range(50)),
        "\n".join(f"some_module.SomeClass.some_method_with_a_long_name_{n}" for n in range(60)),
        "data: the plural of datum, " * 60,
        "The colour is data:image/gif;base64,R0lGODlhAQABAAAAACw= in one point.",
    ],
    ids=lambda text: text[:24],
)
def test_long_words_that_are_no_data_stay(text: str) -> None:
    document, pieces = read_text("a.txt", text)
    assert sum(len(piece.text) for piece in pieces) >= len(text) - len(pieces)
    assert document.parser_notes.notes == []


def test_drawings_without_an_end_take_linear_time() -> None:
    _, pieces = read_text("a.md", "data:image/svg+xml,<svg " * 40_000)
    assert pieces


PROGRAM = ";".join(f"var a{n}=function(b,c){{return b*{n}+c}}" for n in range(200))
SOURCE = "".join(
    f"// Adds {n} to the number.\nfunction add{n}(number) {{\n    return number + {n};\n}}\n\n" for n in range(200)
)


def test_packed_code_is_refused_and_its_source_is_not() -> None:
    for name in ("app.min.js", "app.mjs", "APP.JS"):
        with pytest.raises(Unreadable, match="is packed code"):
            read_text(name, PROGRAM)
    with pytest.raises(Unreadable, match="is packed code"):
        read_text("a.css", "a{color:red}" * 1000)
    assert read_text("app.js", SOURCE)[1]
    assert read_text("app.js", "var a=1;")[1]


def test_a_source_map_is_refused() -> None:
    for text in (
        '{"version":3,"sources":["a.ts"],"mappings":"AAAA"}',
        ')]}\'\n{"file":"a.js","version":3,"mappings":"AAAA"}',
    ):
        with pytest.raises(Unreadable, match="is a source map"):
            read_text("app.js.map", text)
    assert read_text("treasure.map", "Three steps north.")[1]


def test_keys_between_their_marks_are_left_out_and_signed_text_is_not() -> None:
    key = (
        "-----BEGIN CERTIFICATE-----\n"
        + "MIIDdzCCAlgAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUF\n" * 20
        + "-----END CERTIFICATE-----"
    )
    signed = (
        "-----BEGIN PGP SIGNED MESSAGE-----\n"
        + "The bees dance in the dark. " * 20
        + "\n-----END PGP SIGNED MESSAGE-----"
    )
    _, pieces = read_text("a.txt", f"Before.\n{key}\nBetween.\n{signed}\n")
    text = " ".join(piece.text for piece in pieces)
    assert "MII" not in text
    for expected in ("Before.", "Between.", "The bees dance"):
        assert expected in text


def test_bytes_written_as_code_are_left_out_and_short_ones_are_not() -> None:
    row = "  0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00,\n"
    code = f"unsigned char logo[] = {{\n{row * 100}}};\n\nint main(void) {{ return 0; }}\n\nchar b[] = {{\n{row}}};\n"
    document, pieces = read_text("a.c", code)
    text = "\n".join(piece.text for piece in pieces)
    assert text.count("0x4e") == 1
    assert "int main(void)" in text
    assert document.note.startswith("encoded data was left out: 1 stretches")


def test_marks_without_an_end_take_time_in_proportion() -> None:
    _, pieces = read_text("a.txt", "-----BEGIN A-----\n" * 20_000 + "words")
    assert pieces[-1].text.endswith("words")


@pytest.mark.parametrize(
    "line",
    ["{:08x}: 8950 4e47 0d0a 1a0a 0000 000d 4948 4452  .PNG........IHDR\n",
     "{:08x}  89 50 4e 47 0d 0a 1a 0a  00 00 00 0d 49 48 44 52  |.PNG........IHDR|\n",
     "{:07o} 5089 474e 0a0d 0a1a 0000 0d00 4849 5244\n"],
)  # fmt: skip
def test_dumps_of_bytes_are_left_out_and_tables_of_numbers_are_not(line: str) -> None:
    dump = "".join(line.format(n * 16) for n in range(100))
    table = "".join(f"202601{n:02} 12 34 56 78 90 12 34 {n:02}\n" for n in range(1, 31))
    document, pieces = read_text("a.txt", f"The first bytes:\n\n{dump}\nThe weather:\n\n{table}")
    text = "\n".join(piece.text for piece in pieces)
    assert "4e" not in text.replace("474e", "4e")
    assert "The first bytes:" in text
    assert "20260130 12 34 56 78 90 12 34 30" in text
    assert document.note.startswith("encoded data was left out: 1 stretches")
