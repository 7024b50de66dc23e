from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pypdf
import pytest
from reportlab.pdfgen.canvas import Canvas

from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading.formats.pdfs import BY_HAND, encrypted, written
from tests.workers.retrieval.reading.reads import read_bytes


@pytest.fixture(autouse=True)
def _loud_again() -> Iterator[None]:
    yield
    logging.getLogger("pypdf").setLevel(logging.NOTSET)


def refusal(tmp_path: Path, data: bytes) -> str:
    with pytest.raises(Unreadable) as refused:
        read_bytes(tmp_path, "a.pdf", data)
    return str(refused.value)


def test_each_page_is_under_its_number(tmp_path: Path) -> None:
    data = written("It begins here.\nAnd goes on.", "", "The third page.", title="A Report")
    document, pieces = read_bytes(tmp_path, "a.pdf", data)
    assert (document.format, document.title, document.extracted) == ("pdf", "A Report", True)
    assert [piece.title_path for piece in pieces] == ["A Report > page 1", "A Report > page 3"]
    assert pieces[0].text.split() == ["It", "begins", "here.", "And", "goes", "on."]
    assert pieces[1].text == "The third page."
    assert pieces[1].first_line > pieces[0].last_line


def test_bookmarks_are_titles_above_the_pages(tmp_path: Path) -> None:
    made = io.BytesIO()
    canvas = Canvas(made)
    canvas.setTitle("Book")
    bookmarks = {1: [(0, "One")], 3: [(1, "Details")], 4: [(0, "Two"), (1, "First"), (1, "Second")]}
    for number in range(1, 6):
        for level, title in bookmarks.get(number, []):
            canvas.bookmarkPage(title)
            canvas.addOutlineEntry(title, title, level)
        canvas.drawString(72, 700, f"Text {number}.")
        canvas.showPage()
    canvas.save()
    _, pieces = read_bytes(tmp_path, "a.pdf", made.getvalue())
    assert [piece.title_path for piece in pieces] == [
        "Book > One > page 1",
        "Book > One > page 2",
        "Book > One > Details > page 3",
        "Book > Two > page 4",
        "Book > Two > Second > page 5",
    ]


def test_a_pdf_written_by_hand_without_a_table_is_read(tmp_path: Path) -> None:
    document, [piece] = read_bytes(tmp_path, "hand.pdf", BY_HAND)
    assert piece.text == "Written by hand."
    assert document.title == "hand.pdf"


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_an_encrypted_one_that_asks_for_no_password_is_read(tmp_path: Path, algorithm: str) -> None:
    _, [piece] = read_bytes(tmp_path, "a.pdf", encrypted(written("Not secret."), "", algorithm))
    assert piece.text == "Not secret."


def test_an_encrypted_one_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, encrypted(written("Secret."), "password", "AES-256")) == (
        "is encrypted: it needs a password"
    )


def test_an_unknown_way_of_encrypting_is_refused(tmp_path: Path) -> None:
    data = encrypted(written("Secret."), "password", "RC4-128").replace(b"/Filter /Standard", b"/Filter /Mystery0")
    assert refusal(tmp_path, data) == "is encrypted in a way that is not known here"


def test_one_without_text_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, written("", "")) == "has no text, only pictures of it"


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\n",
        b"%PDF-1.7\n" + bytes(range(256)) * 50,
        written("Some text.")[:300],
        BY_HAND.replace(b"/Kids[3 0 R]/Count 1", b"/Kids[]/Count 0"),
        BY_HAND.replace(b"/Root 1 0 R", b"/Root 9 0 R"),
        BY_HAND.replace(b"/Pages 2 0 R", b"/Pages 7 0 R"),
    ],
)
def test_a_broken_one_is_refused(tmp_path: Path, data: bytes) -> None:
    assert "is a damaged PDF" in refusal(tmp_path, data)


def test_pages_that_contain_themselves_end(tmp_path: Path) -> None:
    loop = BY_HAND.replace(b"/Kids[3 0 R]/Count 1", b"/Kids[2 0 R 3 0 R]/Count 2")
    try:
        _, pieces = read_bytes(tmp_path, "a.pdf", loop)
    except Unreadable:
        return
    assert len(pieces) < 10


def test_a_form_that_draws_itself_ends(tmp_path: Path) -> None:
    form = (
        BY_HAND.replace(b"/Resources<<", b"/Resources<</XObject<</X 6 0 R>>")
        .replace(
            b"trailer",
            b"6 0 obj <</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 6 0 R>>>>/Length 5>> stream\n"
            b"/X Do\nendstream endobj\ntrailer",
        )
        .replace(b"Tj ET", b"Tj ET /X Do")
    )
    try:
        _, pieces = read_bytes(tmp_path, "a.pdf", form)
    except Unreadable:
        return
    assert len(pieces) <= 1


def test_a_broken_page_does_not_cost_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extract = pypdf.PageObject.extract_text

    def extract_or_fail(page: pypdf.PageObject) -> str:
        if page.page_number == 1:
            raise KeyError("/Contents")
        return extract(page)

    monkeypatch.setattr(pypdf.PageObject, "extract_text", extract_or_fail)
    document, pieces = read_bytes(tmp_path, "a.pdf", written("One.", "Two.", "Three."))
    assert [piece.title_path for piece in pieces] == ["page 1", "page 3"]
    assert document.findings.notes == ["1 of 3 pages cannot be read (2)"]
