"""PDF by PDFium, page by page, below its bookmarks. Does no I/O.

All pages are read before the first is given: by the words of the whole document its broken words are judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pypdfium2
import pypdfium2.raw as pdfium
from pypdfium2 import PdfDocument, PdfiumError

from agentgw_daemon.workers.retrieval.reading.blocks import HeadingPath, Outline, Section, TextBuilder, title_of
from agentgw_daemon.workers.retrieval.reading.formats.pdfs.page import PdfPage, page_of
from agentgw_daemon.workers.retrieval.reading.formats.pdfs.words import vocabulary_of
from agentgw_daemon.workers.retrieval.reading.values import ParserNotes, Unreadable

# An atlas has thousands; more are made up.
_MAX_PAGES: Final = 20_000
_MAX_BOOKMARKS: Final = 20_000
_MAX_BOOKMARK_DEPTH: Final = 32
_MAX_NAMED: Final = 5
# As of plain text.
_MAX_TEXT_CHARS: Final = 64 << 20
# A page with fewer letters without a meaning is worth no note.
_FEW_UNMAPPED: Final = 0.02
# Names that programs give to what has none.
_NO_TITLES: Final = frozenset({"untitled", "unbenannt", "sans titre", "sin título"})
_REFUSALS: Final = {
    pdfium.FPDF_ERR_PASSWORD: "is encrypted: it needs a password",
    pdfium.FPDF_ERR_SECURITY: "is encrypted in a way that is not known here",
}
_UNMAPPED: Final = "its fonts do not say which letters they draw"


def pdf_sections(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """One section a page that has text."""
    document = _opened(data)
    try:
        count = _count(document)
        _fill_in(document)
        parser_notes.title = _title(document)
        _tell_of_parts(document, parser_notes)
        bookmarks = _bookmarks(document)
        pages = _pages(document, count)
    finally:
        document.close()
    _tell(pages, count, parser_notes)
    outline.restart(parser_notes.title)
    words = vocabulary_of([page.text for page in pages if page is not None])
    for number, page in enumerate(pages, 1):
        path = (*_entered(outline, bookmarks.get(number, [])), f"page {number}")
        if page is None:
            continue
        builder = TextBuilder()
        builder.add("prose", words.mended(page.text), path)
        builder.add("lines", "\n".join(page.fields), path)
        for note in page.notes:
            builder.add("prose", note, path)
        yield builder.take()


def _pages(document: PdfDocument, count: int) -> list[PdfPage | None]:
    """All pages; None for one that is broken."""
    made: list[PdfPage | None] = []
    chars = 0
    for number in range(count):
        try:
            page = page_of(document, number)
        except PdfiumError:
            made.append(None)
            continue
        chars += sum(map(len, (page.text, *page.fields, *page.notes)))
        if chars > _MAX_TEXT_CHARS:
            raise Unreadable("has more text than a document may have")
        made.append(page)
    return made


def _tell(pages: list[PdfPage | None], count: int, parser_notes: ParserNotes) -> None:
    """Notes on pages that give less than they show. Raises Unreadable when none gives anything."""
    failed = [number for number, page in enumerate(pages, 1) if page is None]
    if len(failed) == count:
        raise Unreadable("is damaged: none of its pages can be read")
    silent = [number for number, page in enumerate(pages, 1) if page is not None and page.unreadable]
    if not any(page is not None and (page.text.strip() or page.fields or page.notes) for page in pages):
        raise Unreadable(f"has text that cannot be read: {_UNMAPPED}" if silent else "has no text, only pictures of it")
    if failed:
        parser_notes.notes.append(f"{len(failed)} of {count} pages cannot be read ({_named(failed)})")
    if silent:
        parser_notes.notes.append(f"{len(silent)} of {count} pages cannot be read, as {_UNMAPPED} ({_named(silent)})")
    some = [
        number for number, page in enumerate(pages, 1)
        if page is not None and not page.unreadable and page.unmapped > _FEW_UNMAPPED
    ]  # fmt: skip
    if some:
        parser_notes.notes.append(
            f"letters are missing on {len(some)} of {count} pages, as {_UNMAPPED} ({_named(some)})"
        )


def _tell_of_parts(document: PdfDocument, parser_notes: ParserNotes) -> None:
    """Notes on what a document has beside its pages, and is not read."""
    try:
        count = document.count_attachments()
        names = [document.get_attachment(number).get_name() for number in range(min(count, _MAX_NAMED))]
    except (PdfiumError, UnicodeError):
        count, names = 0, []
    if count:
        shown = ", ".join(map(title_of, names)) + (", …" if count > _MAX_NAMED else "")
        parser_notes.notes.append(f"{count} attached files are not read ({shown})")
    if document.get_formtype() == pdfium.FORMTYPE_XFA_FULL:
        parser_notes.notes.append("is a form of Adobe's XFA kind, whose fields are not read; print it to a PDF file")


def _named(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:_MAX_NAMED])) + (", …" if len(numbers) > _MAX_NAMED else "")


def _bookmarks(document: PdfDocument) -> dict[int, list[tuple[int, str]]]:
    """The bookmarks by page, from 1: levels and titles of what begins there."""
    made: dict[int, list[tuple[int, str]]] = {}
    try:
        for number, bookmark in enumerate(document.get_toc(max_depth=_MAX_BOOKMARK_DEPTH)):
            if number == _MAX_BOOKMARKS:
                break
            destination = bookmark.get_dest()
            page = destination.get_index() if destination is not None else None
            if page is not None:
                made.setdefault(page + 1, []).append((bookmark.level + 1, bookmark.get_title()))
    except (PdfiumError, UnicodeError):
        # The text may be well without them.
        return made
    return made


def _entered(outline: Outline, begun: list[tuple[int, str]]) -> HeadingPath:
    """The titles above a page on which these begin; of several, those that they have in common."""
    paths = [outline.enter(level, title) for level, title in begun] or [outline.path]
    shortest = min(map(len, paths))
    same = next((at for at in range(shortest) if len({path[at] for path in paths}) > 1), shortest)
    return paths[0][:same]


def _opened(data: bytes) -> PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except PdfiumError as error:
        raise Unreadable(_REFUSALS.get(error.err_code, "is a damaged PDF")) from error


def _fill_in(document: PdfDocument) -> None:
    """Makes the values of fields known; those of a form that is broken stay unknown."""
    try:
        document.init_forms()
    except PdfiumError:
        return


def _count(document: PdfDocument) -> int:
    pages = len(document)
    if pages > _MAX_PAGES:
        raise Unreadable(f"has {pages:,} pages; up to {_MAX_PAGES:,} are read")
    if pages <= 0:
        raise Unreadable("is a damaged PDF: it has no pages")
    return pages


def _title(document: PdfDocument) -> str:
    try:
        title = " ".join(document.get_metadata_value("Title").split())
    except (PdfiumError, UnicodeError):
        return ""
    return "" if title.casefold() in _NO_TITLES else title
