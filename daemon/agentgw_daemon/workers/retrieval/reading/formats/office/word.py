"""Word documents (DOCX): paragraphs, headings by their styles, lists, tables; notes, comments, margins, charts, and
documents inside of it. Does no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import BlockKind, Outline, Section, TextBuilder
from agentgw_daemon.workers.retrieval.reading.decoding import decode
from agentgw_daemon.workers.retrieval.reading.files.archive import Archive
from agentgw_daemon.workers.retrieval.reading.formats.markup.html import declared_encoding, write_html
from agentgw_daemon.workers.retrieval.reading.formats.markup.xml import hear_xml
from agentgw_daemon.workers.retrieval.reading.formats.office.parts import (
    DRAWINGS,
    drawing_text,
    links_of,
    main_part,
    office_title,
    tell_of_embedded,
)
from agentgw_daemon.workers.retrieval.reading.formats.office.symbols import symbol_at
from agentgw_daemon.workers.retrieval.reading.values import ParserNotes, Unreadable

_DOCUMENT: Final = "word/document.xml"
_HEADING: Final = re.compile(r"heading ([1-9])", re.IGNORECASE)
# Elements that stand for the same once more (a drawing for older programs, where moved text was, a character's
# reading), or for what was deleted.
_SKIPPED: Final = frozenset({"Fallback", "moveFrom", "del", "rt"})
# Parts that are read after the document itself, in this order.
_NOTES: Final = ("footnotes", "endnotes", "comments")
_MARGINS: Final = ("header", "footer")
_ALTERNATIVE: Final = "aFChunk"
_MOST_NESTED: Final = 2
# Styles in a row; nobody's are based on each other deeper.
_MOST_BASES: Final = 12


def word_sections(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """The document as one section, and one for each part that belongs to it: notes, comments, margins, charts."""
    yield from _document(data, parser_notes, outline, 0)


def _document(data: bytes, parser_notes: ParserNotes, outline: Outline, depth: int) -> Iterator[Section]:
    archive = Archive(data)
    main = main_part(archive, _DOCUMENT)
    links = links_of(archive, main)
    styles = _Styles()
    for link in links:
        if link.kind == "styles":
            hear_xml(archive.read(link.part), styles)
    if not links and (usual := archive.named("word/styles.xml")):
        hear_xml(archive.read(usual), styles)
    tell_of_embedded(archive, [main], parser_notes)
    parser_notes.title = parser_notes.title or office_title(archive)
    outline.restart(parser_notes.title)
    builder = TextBuilder()
    hear_xml(archive.read(main), _WordWriter(builder, outline, styles))
    parser_notes.title = parser_notes.title or outline.first
    yield builder.take()
    for kind in (*_NOTES, *_MARGINS, *DRAWINGS):
        parts = [link.part for link in links if link.kind == kind]
        if not links and kind in _NOTES and (usual := archive.named(f"word/{kind}.xml")):
            parts = [usual]
        yield from _others(archive, dict.fromkeys(parts), kind, parser_notes, outline, styles)
    for link in links:
        if link.kind == _ALTERNATIVE:
            yield from _alternative(archive, link.part, parser_notes, outline, depth)


def _others(
    archive: Archive, parts: Iterable[str], kind: str, parser_notes: ParserNotes, outline: Outline, styles: _Styles
) -> Iterator[Section]:
    """The text of parts of one kind, each text once: the margins of all chapters may say the same."""
    said: set[str] = set()
    for part in parts:
        outline.restart(parser_notes.title)
        builder = TextBuilder()
        try:
            if kind in DRAWINGS:
                builder.add("lines", drawing_text(archive, part), outline.path)
            else:
                hear_xml(archive.read(part), _WordWriter(builder, outline, styles))
        except Unreadable as error:
            parser_notes.notes.append(f"a part was not read: {part.rpartition('/')[2]} {error}")
        section = builder.take()
        if section.text.text not in said:
            said.add(section.text.text)
            yield section


def _alternative(
    archive: Archive, part: str, parser_notes: ParserNotes, outline: Outline, depth: int
) -> Iterator[Section]:
    """A document in another format that Word would take in when it opens this one."""
    data = archive.read(part)
    builder = TextBuilder()
    outline.restart(parser_notes.title)
    if data.startswith(b"PK\x03\x04") and depth < _MOST_NESTED:
        yield from _document(data, parser_notes, outline, depth + 1)
    elif b"<html" in data[:4096].lower() or part.lower().endswith((".htm", ".html", ".xhtml")):
        write_html(decode(data, declared_encoding(data)).text, builder, outline)
        yield builder.take()
    elif part.lower().endswith(".txt"):
        builder.add("prose", decode(data).text, outline.path)
        yield builder.take()
    else:
        parser_notes.notes.append(f"a part in another format was not read ({part.rpartition('/')[2]})")


class _Styles:
    """Hears which styles are headings and lists: by their English names, which every Word writes, or their outline."""

    def __init__(self) -> None:
        self.levels: Final[dict[str, int]] = {}
        self.lists: Final[set[str]] = set()
        self._based_on: dict[str, str] = {}
        self._style = ""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        value = attributes.get("val", "")
        if tag == "style":
            self._style = attributes.get("styleId", "")
        elif tag == "name" and self._style:
            if (found := _HEADING.fullmatch(value)) is not None:
                self.levels[self._style] = int(found[1])
            elif value.lower() == "title":
                self.levels[self._style] = 1
            elif value.lower().startswith("list "):
                self.lists.add(self._style)
        elif tag == "basedOn" and self._style:
            self._based_on[self._style] = value
        elif tag == "outlineLvl" and self._style and value in set("0123456789"):
            # The last one says that it is no heading, whatever it is based on.
            self.levels.setdefault(self._style, (int(value) + 1) % 10)

    def level(self, style: str) -> int:
        """The level of a heading by its style or what that is based on; 0 for other text."""
        for _ in range(_MOST_BASES):
            if style in self.levels:
                return self.levels[style]
            style = self._based_on.get(style, "")
        return 0

    def is_list(self, style: str) -> bool:
        """Tells the same of lists."""
        for _ in range(_MOST_BASES):
            if style in self.lists:
                return True
            style = self._based_on.get(style, "")
        return False

    def end(self, tag: str) -> None:
        if tag == "style":
            self._style = ""

    def data(self, text: str) -> None:
        pass


def _hexadecimal(text: str) -> int:
    return int(text, 16) if re.fullmatch(r"[0-9A-Fa-f]{1,4}", text) else 0


class _WordWriter:
    """Hears the document's body and writes its blocks."""

    def __init__(self, builder: TextBuilder, outline: Outline, styles: _Styles) -> None:
        self._builder: Final = builder
        self._outline: Final = outline
        self._styles: Final = styles
        self._parts: list[str] = []
        self._rows: list[str] = []
        self._cells: list[str] = []
        self._in_text = False
        self._level = 0
        self._listed = False
        self._tables = 0
        self._skipped = 0
        self._placeholder = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self._skipped or tag in _SKIPPED:
            self._skipped += 1
            return
        match tag:
            case "t":
                self._in_text = True
            case "p" if not self._tables:
                self._flush()  # of a paragraph around this one: text boxes stand inside paragraphs
                self._level, self._listed = 0, False
            case "pStyle":
                self._level = self._styles.level(attributes.get("val", ""))
                self._listed = self._styles.is_list(attributes.get("val", ""))
            case "outlineLvl" if attributes.get("val", "") in set("012345678"):
                self._level = int(attributes["val"]) + 1
            case "numPr":
                self._listed = True
            case "tab":
                self._parts.append("\t")
            case "br" | "cr":
                self._parts.append("\n")
            case "ptab":
                self._parts.append("\t")
            case "noBreakHyphen":
                self._parts.append("-")
            case "sym" if attributes.get("font", "") == "Symbol":
                self._parts.append(symbol_at(_hexadecimal(attributes.get("char", ""))))
            case "num" | "den" | "sup" | "sub":
                # Of a formula: a fraction's parts are no number together.
                self._parts.append({"den": "/", "sup": "^", "sub": "_"}.get(tag, " "))
            case "docPr" if attributes.get("descr", "").strip():
                self._parts.append(f" {attributes['descr'].strip()} ")
            case "showingPlcHdr" if attributes.get("val", "1") not in ("0", "false"):
                self._placeholder = True
            case "sdtContent" if self._placeholder:
                # Not written by anybody: it asks for something to be.
                self._placeholder, self._skipped = False, 1
            case "tbl":
                if not self._tables:
                    self._flush()
                self._tables += 1

    def end(self, tag: str) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        match tag:
            case "t":
                self._in_text = False
            case "p" if self._tables:
                self._parts.append(" ")
            case "p":
                self._flush()
            case "tc" if self._tables == 1:
                self._cells.append(" ".join("".join(self._parts).split()))
                self._parts.clear()
            case "tr" if self._tables == 1:
                self._rows.append(" | ".join(self._cells))
                self._cells.clear()
            case "tbl":
                self._tables -= 1
                if not self._tables:
                    self._builder.add_table(self._rows.copy(), self._outline.path)
                    self._rows.clear()
                    self._parts.clear()

    def data(self, text: str) -> None:
        if self._in_text and not self._skipped:
            self._parts.append(text)

    def _flush(self) -> None:
        text = "".join(self._parts).strip()
        self._parts.clear()
        if not text:
            return
        if self._level:
            self._builder.add("heading", text, self._outline.enter(self._level, text))
        else:
            self._add("prose", f"- {text}" if self._listed else text)

    def _add(self, kind: BlockKind, text: str) -> None:
        self._builder.add(kind, text, self._outline.path)
