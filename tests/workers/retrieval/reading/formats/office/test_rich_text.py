from __future__ import annotations

from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading.reads import read_bytes

LETTER = (
    rb"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Arial;}{\f1\fcharset204 Arial Cyr;}}"
    rb"{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 heading 1;}}{\info{\title My \'dcbung}{\author Me}}"
    rb"\pard\s1 Gr\'fc\u223?e{\*\bkmkstart x}\par"
    b"\r\n"
    rb"\pard Hello {\b bold} world\u8212-, {\field{\*\fldinst HYPERLINK x}{\fldrslt a link}}.\par"
    rb"{\f1 \'cf\'f0\'e8\'e2\'e5\'f2}\par{\pict\pngblip 89504e47}"
    rb"\trowd\intbl Town\cell Hours\cell\row\intbl Basel\cell 5\cell\row\pard After.\line Last.\par}"
)


def test_a_letter_has_headings_paragraphs_and_tables(tmp_path: Path) -> None:
    document, [piece] = read_bytes(tmp_path, "a.rtf", LETTER)
    assert (document.format, document.title, document.extracted) == ("rtf", "My Übung", True)
    assert piece.title_path == "Grüße"
    assert piece.text.split("\n\n") == [
        "Grüße", "Hello bold world—, a link.", "Привет", "Town | Hours\nBasel | 5", "After.\nLast.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (rb"\u-10179?\u-8704?", "😀"),
        (rb"\uc2\u252xy\u246xyz", "üöz"),
        (rb"{\uc0\u252}x", "üx"),
        (rb"a\~b\_c\-d\{e\}\\", "a b-cd{e}\\"),
        (rb"\lquote a\rquote  \bullet  \emdash", "‘a’ • —"),
        (rb"\bin5 {{{{{ok", "ok"),
        (rb"\bin-5 ok", "ok"),
        (rb"{\*\unknown secret}ok", "ok"),
        (rb"\outlinelevel99999999999 ok", "ok"),
        (rb"}}}} ok {", "ok"),
        (rb"\'zz ok", "zz ok"),
        (rb"\ansicpg932 \'93\'fa\'96\'7b", "日本"),
        (rb"text{\footnote A note.} goes on", "text A note. goes on"),
    ],
)
def test_every_way_to_write_a_letter_is_read(tmp_path: Path, body: bytes, shown: str) -> None:
    _, [piece] = read_bytes(tmp_path, "a.rtf", rb"{\rtf1\ansi " + body)
    assert " ".join(piece.text.split()) == shown


def test_braces_without_end_are_refused_or_read(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="is nested too deeply"):
        read_bytes(tmp_path, "a.rtf", rb"{\rtf1 " + b"{" * 100_000)
    _, [piece] = read_bytes(tmp_path, "a.rtf", rb"{\rtf1 " + b"{}" * 100_000 + b"ok" + b"}" * 100_000)
    assert piece.text == "ok"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (rb"kept {\deleted gone}\deleted more\deleted0  end", "kept  end"),
        (rb"seen {\v hidden}\v too\v0  end", "seen  end"),
        (rb"Apple{\xe{\v Fruit}} pie{\tc Chapter}", "Apple pie"),
        (rb"angle {\f2 a\'62} end", "angle αβ end"),
        (rb"{\f1 \'cf\plain\'fc} end", "Пü end"),
    ],
)
def test_what_was_deleted_or_is_not_shown_is_no_text(tmp_path: Path, source: bytes, text: str) -> None:
    fonts = rb"{\fonttbl{\f0 Arial;}{\f1\fcharset204 Cyr;}{\f2\fcharset2 Symbol;}}"
    _, [piece] = read_bytes(tmp_path, "a.rtf", rb"{\rtf1\ansi" + fonts + rb"\f0 " + source + rb"\par}")
    assert piece.text == text


def test_rich_text_may_begin_with_blanks_or_a_mark(tmp_path: Path) -> None:
    for before in (b"\n ", b"\xef\xbb\xbf"):
        document, [piece] = read_bytes(tmp_path, "a.doc", before + rb"{\rtf1\ansi words\par}")
        assert (document.format, piece.text) == ("rtf", "words")


def test_words_in_a_box_are_read_once(tmp_path: Path) -> None:
    box = rb"{\shp{\*\shpinst\shpleft1{\sp{\sn x}{\sv 1}}{\shptxt In a box\par}}"
    box += rb"{\shprslt{\*\do{\dptxbxtext In a box\par}}}}"
    _, [piece] = read_bytes(tmp_path, "a.rtf", rb"{\rtf1\ansi Before\par" + box + rb"After\par}")
    assert piece.text.split("\n\n") == ["Before", "In a box", "After"]
