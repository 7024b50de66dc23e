"""OpenDocument (ODT, ODS, ODP and their flat forms): headings, paragraphs, lists, tables, notes, comments. Does no I/O.

By the XML itself: odfpy builds a tree of objects of all of it, and its last release is old.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import Outline, Section, TextBuilder
from agentgw_daemon.workers.retrieval.reading.files.archive import Archive
from agentgw_daemon.workers.retrieval.reading.formats.markup.xml import hear_xml
from agentgw_daemon.workers.retrieval.reading.values import ParserNotes, Unreadable

_CONTENT: Final = "content.xml"
_META: Final = "meta.xml"
_STYLES: Final = "styles.xml"
_MANIFEST: Final = "META-INF/manifest.xml"
# Deleted text, how signs are read, what a program keeps for itself.
_SKIPPED: Final = frozenset(
    {"tracked-changes", "ruby-text", "forms", "scripts", "settings", "automatic-styles", "font-face-decls",
     "binary-data", "event-listeners", "note-citation"}
)  # fmt: skip
_MOST_REPEATED: Final = 64
_MOST_SPACES: Final = 100


def opendocument_sections(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """The document as one section, and its margins as another."""
    if not data.startswith(b"PK"):
        yield from _flat(data, parser_notes, outline)
        return
    archive = Archive(data)
    if manifest := archive.named(_MANIFEST):
        encrypted = _Encrypted()
        hear_xml(archive.read(manifest), encrypted)
        if encrypted.found:
            raise Unreadable("is encrypted: it needs a password")
    if meta := archive.named(_META):
        heard = _Title()
        hear_xml(archive.read(meta), heard)
        parser_notes.title = " ".join(heard.title.split())
    outline.restart(parser_notes.title)
    builder = TextBuilder()
    hear_xml(archive.read(_CONTENT), _OpenDocumentWriter(builder, outline))
    parser_notes.title = parser_notes.title or outline.first
    yield builder.take()
    # Charts and tables that stand in the text as documents of their own.
    for name in archive.names():
        if name.endswith(f"/{_CONTENT}"):
            outline.restart(parser_notes.title)
            hear_xml(archive.read(name), _OpenDocumentWriter(builder, outline))
            yield builder.take()
    if styles := archive.named(_STYLES):
        outline.restart(parser_notes.title)
        hear_xml(archive.read(styles), _OpenDocumentWriter(builder, outline, only_margins=True))
        yield builder.take()


def _flat(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """The document in one file of XML."""
    heard = _Title()
    hear_xml(data, heard)
    parser_notes.title = " ".join(heard.title.split())
    outline.restart(parser_notes.title)
    builder = TextBuilder()
    hear_xml(data, _OpenDocumentWriter(builder, outline))
    parser_notes.title = parser_notes.title or outline.first
    yield builder.take()


class _Encrypted:
    """Hears whether a part is encrypted."""

    def __init__(self) -> None:
        self.found = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.found = self.found or tag == "encryption-data"

    def end(self, tag: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass


class _Title:
    """Hears the title among the document's own data."""

    def __init__(self) -> None:
        self.title = ""
        self._in_meta = False
        self._inside = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._in_meta = self._in_meta or tag == "meta"
        self._inside = tag == "title" and self._in_meta and not self.title

    def end(self, tag: str) -> None:
        self._inside = False
        self._in_meta = self._in_meta and tag != "meta"

    def data(self, text: str) -> None:
        if self._inside:
            self.title += text


class _OpenTable:
    """A table that is open: its rows, the cells of the row, and the texts of the cell."""

    __slots__ = ("cells", "repeated", "rows", "texts", "value")

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.cells: list[str] = []
        self.texts: list[str] = []
        self.repeated = 1
        self.value = ""  # of a cell that does not show it


class _OpenDocumentWriter:
    """Hears a document's body and writes its blocks."""

    def __init__(self, builder: TextBuilder, outline: Outline, *, only_margins: bool = False) -> None:
        self._builder: Final = builder
        self._outline: Final = outline
        self._only_margins: Final = only_margins
        self._in_body = 0
        # Paragraphs stand inside of others, as a note does in a sentence.
        self._open: list[tuple[list[str], int]] = []
        self._tables: list[_OpenTable] = []
        self._items = 0
        self._slides = 0
        self._sheets = False
        self._is_title = False
        self._skipped = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        if self._skipped or tag in _SKIPPED:
            self._skipped += 1
            return
        self._in_body += tag in (("header", "footer") if self._only_margins else ("body",))
        match tag:
            case "h":
                level = attributes.get("outline-level", "1")
                self._open.append(([], int(level) if level in set("123456789") else 1))
            case "p":
                self._open.append(([], 0))
            case "s" if self._open:
                self._add(" " * _count(attributes.get("c", "1"), _MOST_SPACES))
            case "tab":
                self._add("\t")
            case "line-break":
                self._add("\n")
            case "title" | "desc" if self._open:
                # The text says what a picture shows.
                self._add(" ")
            case "annotation" | "note":
                # Author and date, or spaces, stand around its paragraphs.
                self._open.append(([], 0))
            case "list-item":
                self._items += 1
            case "spreadsheet":
                # Of a sheet the name says something; of a table in a text it is made up.
                self._sheets = True
            case "table":
                self._tables.append(_OpenTable())
                if len(self._tables) == 1 and (name := attributes.get("name", "")) and self._sheets:
                    self._builder.add("heading", name, self._outline.enter(1, name))
            case "table-cell" | "covered-table-cell" if self._tables:
                self._tables[-1].repeated = _count(attributes.get("number-columns-repeated", "1"), _MOST_REPEATED)
                self._tables[-1].cells.append("")
                self._tables[-1].value = attributes.get("string-value", "") or attributes.get("value", "")
            case "page":
                self._slides += 1
                self._outline.restart()
                self._outline.enter(1, attributes.get("name", "") or f"slide {self._slides}")
            case "frame" | "custom-shape":
                self._is_title = attributes.get("class", "") == "title"

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._skipped:
            self._skipped -= 1
            return
        match tag:
            case "p" | "h" if self._open:
                self._paragraph(*self._open.pop())
            case "annotation" | "note" if self._open:
                self._open.pop()
            case "title" | "desc" if self._open:
                self._add(" ")
            case "list-item":
                self._items -= 1
            case "table-cell" | "covered-table-cell" if self._tables and self._tables[-1].cells:
                table = self._tables[-1]
                table.cells[-1] = " ".join(table.texts) or table.value
                table.cells += [table.cells[-1]] * (table.repeated - 1)
                table.texts.clear()
            case "table-row" if self._tables:
                table = self._tables[-1]
                while table.cells and not table.cells[-1]:
                    table.cells.pop()
                if table.cells:
                    table.rows.append(" | ".join(table.cells))
                table.cells = []
            case "table" if self._tables:
                self._end_table(self._tables.pop())
            case "frame" | "custom-shape":
                self._is_title = False
        self._in_body -= tag in (("header", "footer") if self._only_margins else ("body",))

    def data(self, text: str) -> None:
        """Text."""
        if self._open and not self._skipped:
            self._add(" ".join(text.split("\n")))

    def _add(self, text: str) -> None:
        if self._open:
            self._open[-1][0].append(text)

    def _end_table(self, table: _OpenTable) -> None:
        if self._tables and self._tables[-1].cells:
            self._tables[-1].texts += table.rows
        elif self._in_body:
            self._builder.add_table(table.rows, self._outline.path)

    def _paragraph(self, parts: list[str], level: int) -> None:
        text = "".join(parts).strip()
        if not text or not self._in_body:
            return
        if self._tables:
            if self._tables[-1].cells:
                self._tables[-1].texts.append(" ".join(text.split()))
        elif level or self._is_title:
            self._builder.add("heading", text, self._outline.enter(level or 2, text))
        else:
            self._builder.add("prose", f"- {text}" if self._items else text, self._outline.path)


def _count(text: str, most: int) -> int:
    """A number of times, up to the most; 1 for what is no number."""
    return min(int(text[:9]), most) if text.isascii() and text.isdigit() else 1
