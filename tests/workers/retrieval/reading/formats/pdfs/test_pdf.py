from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pypdf
import pytest
from pypdfium2 import PdfDocument, PdfiumError
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from agentgw_daemon.workers.retrieval.reading.formats.pdfs import pdf
from agentgw_daemon.workers.retrieval.reading.formats.pdfs.page import PdfPage, page_of
from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading.formats.pdfs.pdf_files import BY_HAND, encrypted, written
from tests.workers.retrieval.reading.reads import read_bytes


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


def test_a_name_for_what_has_none_is_no_title(tmp_path: Path) -> None:
    document, [piece] = read_bytes(tmp_path, "bees.pdf", written("Text.", title="Untitled"))
    assert (document.title, piece.title_path) == ("bees.pdf", "page 1")


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
    def page_or_failure(document: PdfDocument, number: int) -> PdfPage:
        if number == 1:
            raise PdfiumError("Failed to load page.")
        return page_of(document, number)

    monkeypatch.setattr(pdf, "page_of", page_or_failure)
    document, pieces = read_bytes(tmp_path, "a.pdf", written("One.", "Two.", "Three."))
    assert [piece.title_path for piece in pieces] == ["page 1", "page 3"]
    assert document.parser_notes.notes == ["1 of 3 pages cannot be read (2)"]


def drawn(draw: Callable[[Canvas], object]) -> bytes:
    """A PDF of one page that this draws."""
    made = io.BytesIO()
    canvas = Canvas(made)
    draw(canvas)
    canvas.save()
    return made.getvalue()


def text_of(tmp_path: Path, data: bytes) -> str:
    return "\n".join(piece.text for piece in read_bytes(tmp_path, "a.pdf", data)[1])


def test_words_broken_at_the_ends_of_lines_are_joined_where_the_joined_word_is_one(tmp_path: Path) -> None:
    page = (
        "They main-\ntain hives and are well-\nknown in the north-\nern towns, near the E-\nmail office, from 1990-\n"
        "1995. A honey-\nmoon, a sun-\nrise and a tooth-\nbrush.\n\nThe honeymoon and the sun-rise are there."
    )
    text = " ".join(text_of(tmp_path, written(page)).split())
    for word in ("maintain", "well-known", "northern", "E-mail", "honeymoon", "sun-rise", "toothbrush"):
        assert f" {word} " in f" {text.replace(',', ' ').replace('.', ' ')} "


@pytest.mark.parametrize("shown", [0, 90, 180, 270])
@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_lines_are_in_their_order_however_the_text_and_the_page_are_turned(
    tmp_path: Path, turned: int, shown: int
) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setPageRotation(shown)
        canvas.translate(300, 400)
        canvas.rotate(turned)
        for at, line in enumerate(("The first of some lines", "a second one, with words", "and the last of three")):
            canvas.drawString(-100, -14 * at, line)

    found = text_of(tmp_path, drawn(draw))
    assert found.splitlines() == ["The first of some lines", "a second one, with words", "and the last of three"]


def test_fourfold_text_is_read_once(tmp_path: Path) -> None:
    def fourfold(canvas: Canvas) -> None:
        for right, up in ((0, 0), (0.3, 0), (0, 0.3), (0.3, 0.3)):
            canvas.drawString(72 + right, 700 + up, "Bold title")
        canvas.drawString(72, 650, "Normal text.")

    assert text_of(tmp_path, drawn(fourfold)).split("\n") == ["Bold title", "Normal text."]


@pytest.mark.parametrize("gap", [0.7, 1.2, 1.6, 2.4])
def test_words_that_stand_close_have_gaps(tmp_path: Path, gap: float) -> None:
    def close(canvas: Canvas) -> None:
        at = 72.0
        for word in ["What", "is", "Earth", "Science?", "It", "studies", "rocks."]:
            canvas.drawString(at, 700, word)
            at += canvas.stringWidth(word) + gap

    assert text_of(tmp_path, drawn(close)) == "What is Earth Science? It studies rocks."


def test_long_words_and_addresses_stay_whole(tmp_path: Path) -> None:
    words = "Donaudampfschifffahrtsgesellschaft https://example.org/a/long/path?with=query AVAWATATAVAWATATA"
    assert text_of(tmp_path, written(words)) == words


def test_filled_fields_and_notes_are_read(tmp_path: Path) -> None:
    def form(canvas: Canvas) -> None:
        canvas.drawString(72, 760, "Application")
        fields = canvas.acroForm
        fields.textfield(name="surname", value="Bee", x=72, y=700, width=200, height=20)
        fields.textfield(name="empty", value="", x=72, y=670, width=200, height=20)
        fields.textfield(name="pin", value="4711", x=72, y=640, width=200, height=20, fieldFlags="password")
        fields.choice(name="town", value="Basel", options=["Basel", "Bern"], x=72, y=620, width=100, height=20)
        fields.checkbox(name="member", checked=True, x=72, y=600)
        fields.checkbox(name="guest", checked=False, x=72, y=580)
        canvas.textAnnotation("A note on bees.", Rect=[300, 700, 320, 720])

    text = text_of(tmp_path, drawn(form))
    assert text.split("\n\n") == ["Application", "surname: Bee\ntown: Basel\nmember: Yes", "A note on bees."]


FONT = next(Path("/usr/share/fonts").rglob("DejaVuSans.ttf"), None)


def in_a_font(text: str, *, mapped: bool) -> bytes:
    """A PDF in a font of its own, which says which letters it draws or does not."""
    pdfmetrics.registerFont(TTFont("own", str(FONT)))

    def draw(canvas: Canvas) -> None:
        canvas.setFont("own", 12)
        canvas.drawString(72, 700, text)

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(drawn(draw)))
    for number in range(1, len(writer._objects) + 1):
        found = writer.get_object(number)
        if not mapped and isinstance(found, dict) and "/ToUnicode" in found:
            del found["/ToUnicode"]
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


@pytest.mark.skipif(FONT is None, reason="needs the font DejaVu Sans")
def test_ligatures_are_the_letters_that_they_stand_for(tmp_path: Path) -> None:
    assert (
        text_of(tmp_path, in_a_font("They work eﬃciently and ﬂy oﬀ.", mapped=True))
        == "They work efficiently and fly off."
    )


@pytest.mark.skipif(FONT is None, reason="needs the font DejaVu Sans")
def test_letters_without_a_meaning_are_told(tmp_path: Path) -> None:
    assert refusal(tmp_path, in_a_font("Привет, мир", mapped=False)) == (
        "has text that cannot be read: its fonts do not say which letters they draw"
    )
    document, [piece] = read_bytes(tmp_path, "a.pdf", in_a_font("They work eﬃciently and ﬂy oﬀ.", mapped=False))
    assert piece.text.startswith("They work e")
    assert document.parser_notes.notes == [
        "letters are missing on 1 of 1 pages, as its fonts do not say which letters they draw (1)"
    ]


def test_fields_and_notes_count_for_the_text_that_a_document_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(72, 700, "Words.")
        canvas.acroForm.textfield(name="town", value="Basel " * 20, x=72, y=600, width=300)

    monkeypatch.setattr("agentgw_daemon.workers.retrieval.reading.formats.pdfs.pdf._MAX_TEXT_CHARS", 60)
    assert "more text than a document may have" in refusal(tmp_path, drawn(draw))


def test_files_that_are_attached_are_told(tmp_path: Path) -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(written("Words.")))
    for name in ("data ü.csv", *(f"{n}.txt" for n in range(5))):
        writer.add_attachment(name, b"a,b")
    made = io.BytesIO()
    writer.write(made)
    document, [piece] = read_bytes(tmp_path, "a.pdf", made.getvalue())
    assert piece.text == "Words."
    assert document.note.startswith("6 attached files are not read (")
    assert "data ü.csv" in document.note or document.note.endswith(", …)")


def test_a_form_that_pdfium_does_not_know_is_told(tmp_path: Path) -> None:
    form = b"6 0 obj <</XFA 7 0 R/Fields[]>> endobj\n7 0 obj <</Length 6>> stream\n<xdp/>\nendstream endobj\ntrailer"
    data = BY_HAND.replace(b"/Pages 2 0 R", b"/Pages 2 0 R/AcroForm 6 0 R/NeedsRendering true").replace(
        b"trailer", form
    )
    document, [piece] = read_bytes(tmp_path, "a.pdf", data)
    assert piece.text == "Written by hand."
    assert document.note == "is a form of Adobe's XFA kind, whose fields are not read; print it to a PDF file"
