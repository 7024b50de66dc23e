"""Damaged documents of every format: each is read as far as it goes, or refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentgw_daemon.workers.retrieval.reading.reader import EXTRACTED, read
from agentgw_daemon.workers.retrieval.reading.values import DocumentSource, OpenedDocument, ReadingLimits, Unreadable
from tests.workers.retrieval.reading import archives
from tests.workers.retrieval.reading.counting import by_pieces
from tests.workers.retrieval.reading.formats.mails.messages import message
from tests.workers.retrieval.reading.formats.office.offices import flat, opendocument, presentation, workbook
from tests.workers.retrieval.reading.formats.pages import PAGE
from tests.workers.retrieval.reading.formats.pdfs.pdf_files import BY_HAND, encrypted, written
from tests.workers.retrieval.reading.formats.words_own import words_own
from tests.workers.retrieval.reading.reads import assert_sound

MAIL = bytes(message("Grüße", "Hallo.\n" * 9, html="<p>Hallo.</p>"))
WHOLE = {
    "a.pdf": written("One. " * 20, "Two.\nThree.", title="T"),
    "hand.pdf": BY_HAND,
    "locked.pdf": encrypted(written("Open."), "", "AES-256"),
    "a.docx": words_own(),
    "plain.docx": archives.zipped(
        {"word/document.xml": f'<w:d xmlns:w="{archives.WORD}">{archives.paragraph("Text.")}</w:d>'}, packed=False
    ),
    "a.epub": archives.epub({"a.xhtml": PAGE, "b.xhtml": PAGE}),
    "a.html": PAGE.encode(),
    "a.eml": MAIL,
    "a.mbox": b"From a@b Thu Nov 26 11:12:13 2026\n" + MAIL,
    "a.ipynb": json.dumps({"cells": [{"cell_type": "markdown", "source": ["# One\n", "Two."]}]}).encode(),
    "a.xml": b"<rss><channel><title>A &amp; B</title>"
    b"<item a='b'><description>&lt;p&gt;Text.</description></item></channel></rss>",
    "a.json": json.dumps({"dish": "Grünkohl", "how": "slowly\n"}).encode(),
    "a.xlsx": workbook(),
    "a.pptx": presentation(),
    "a.odt": opendocument("<office:text><text:h>One</text:h><text:p>Two.</text:p></office:text>"),
    "a.ods": opendocument(
        '<office:spreadsheet><table:table table:name="S"><table:table-row><table:table-cell><text:p>One</text:p>'
        "</table:table-cell></table:table-row></table:table></office:spreadsheet>",
        "spreadsheet",
    ),
    "a.fodp": flat("<office:presentation><draw:page><text:p>Two.</text:p></draw:page></office:presentation>"),
    "a.rtf": rb"{\rtf1\ansi{\fonttbl{\f0 Arial;}}\pard Gr\'fc\u223?e {\b bold}\par\intbl a\cell\row}",
    "a.1": b".TH A 1\n.SH NAME\na \\- \\fBb\\fR\n.TS\nl l.\na\tb\n.TE\n",
    "a.srt": b"1\n00:00:01,000 --> 00:00:03,000\n<i>Said.</i>\n",
    "a.ics": b"BEGIN:VEVENT\nSUMMARY:One\nDTSTART:20260301T103000\nDESCRIPTION:Two\\n\nEND:VEVENT\n",
    "a.yaml": b'dish: "Gr\\u00fcnkohl"',
}
_SNIPPETS = [
    b"<<",
    b">>",
    b"[",
    b"(",
    b"0 R",
    b"stream\n",
    b"9999999999",
    b"-1",
    b"\0",
    b"\xff",
    b"<",
    b"&",
    b"=?",
    b"\n",
]
_DAMAGE = st.tuples(
    st.floats(0, 1, exclude_max=True), st.integers(0, 30), st.one_of(st.binary(max_size=4), st.sampled_from(_SNIPPETS)),
    st.integers(1, 40),
)  # fmt: skip


def damaged(data: bytes, places: list[tuple[float, int, bytes, int]]) -> bytes:
    """The document with something cut out and something else put in at each of the places."""
    for where, gone, snippet, times in places:
        at = int(where * len(data))
        data = data[:at] + snippet * times + data[at + gone :]
    return data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


def opened(path: Path, data: bytes) -> OpenedDocument:
    """The document of a file with this content."""
    path.write_bytes(data)
    document = read(DocumentSource(path=str(path)), ReadingLimits(), by_pieces)
    assert isinstance(document, OpenedDocument)
    return document


def test_every_format_that_has_to_be_extracted_is_damaged_here(folder: Path) -> None:
    formats = set()
    for name, data in WHOLE.items():
        document = opened(folder / name, data)
        assert list(document.pieces)
        formats.add(document.format)
    assert formats == EXTRACTED


@pytest.mark.parametrize("name", WHOLE)
@given(places=st.lists(_DAMAGE, min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_a_damaged_document_is_read_or_refused(
    name: str, folder: Path, places: list[tuple[float, int, bytes, int]]
) -> None:
    try:
        document = opened(folder / name, damaged(WHOLE[name], places))
        assert_sound(list(document.pieces), ReadingLimits(), by_pieces)
    except Unreadable:
        return
