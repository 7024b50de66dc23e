"""PowerPoint presentations (PPTX): each slide below its title, with tables, notes, comments, charts. Does no I/O.

By the XML itself, as with Word: python-pptx builds trees of whole parts, and brings a library for pictures and another
for writing workbooks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import HeadingPath, Outline, Section, TextBuilder
from agentgw_daemon.workers.retrieval.reading.files.archive import Archive
from agentgw_daemon.workers.retrieval.reading.formats.markup.xml import hear_xml
from agentgw_daemon.workers.retrieval.reading.formats.office.parts import (
    DRAWINGS,
    drawing_text,
    links_of,
    main_part,
    office_title,
    tell_of_embedded,
)
from agentgw_daemon.workers.retrieval.reading.values import ParserNotes, Unreadable

_PRESENTATION: Final = "ppt/presentation.xml"
_TITLES: Final = frozenset({"title", "ctrTitle"})
# Elements with words, and those of comments in their older and their newer kind.
_WORDS: Final = frozenset({"t"})
_COMMENTS: Final = frozenset({"t", "text"})
# Numbers, dates and footers of slides, which say the same on each.
_MARGINS: Final = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})


def slides_sections(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """One section a slide, in the order in which they are shown."""
    archive = Archive(data)
    main = main_part(archive, _PRESENTATION)
    order = _Order()
    hear_xml(archive.read(main), order)
    slides = {link.id: link.part for link in links_of(archive, main) if link.kind == "slide"}
    tell_of_embedded(archive, slides.values(), parser_notes)
    parser_notes.title = office_title(archive)
    for number, name in enumerate(order.ids, 1):
        if name not in slides:
            parser_notes.notes.append(f"slide {number} is missing")
            continue
        outline.restart(parser_notes.title)
        try:
            yield _slide(archive, slides[name], number, outline)
        except Unreadable as error:
            parser_notes.notes.append(f"slide {number} was not read: it {error}")
    parser_notes.title = parser_notes.title or outline.first


def _slide(archive: Archive, part: str, number: int, outline: Outline) -> Section:
    slide = _Shapes()
    hear_xml(archive.read(part), slide)
    base = outline.enter(1, slide.title) if slide.title else outline.path
    path = (*base, f"slide {number}")
    builder = TextBuilder()
    builder.add("heading", slide.title, path)
    slide.write(builder, path)
    for link in links_of(archive, part):
        if link.kind in DRAWINGS:
            builder.add("lines", drawing_text(archive, link.part), path)
        elif link.kind in ("notesSlide", "comments"):
            notes = _Shapes(_COMMENTS if link.kind == "comments" else _WORDS)
            hear_xml(archive.read(link.part), notes)
            notes.write(builder, path)
    return builder.take()


class _Order:
    """Hears the slides in their order."""

    def __init__(self) -> None:
        self.ids: Final[list[str]] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        # Its own number and the relationship are both called `id` without their namespaces; the latter comes last.
        if tag == "sldId":
            self.ids.append(attributes.get("id", ""))

    def end(self, tag: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass


class _Shapes:
    """Hears a slide: its title, and paragraphs and tables of its shapes."""

    def __init__(self, words: frozenset[str] = _WORDS) -> None:
        self.title = ""
        self._words: Final = words  # elements with text
        self._blocks: list[str | list[str]] = []
        self._parts: list[str] = []
        self._cells: list[str] = []
        self._rows: list[str] = []
        self._kind = ""
        self._tables = 0
        self._skipped = 0
        self._inside = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self._skipped or tag == "Fallback":
            self._skipped += 1
            return
        match tag:
            case "sp" | "graphicFrame":
                self._kind = ""
            case "ph":
                self._kind = attributes.get("type", "body")
            case "br":
                self._parts.append("\n")
            case "cNvPr" if attributes.get("descr", "").strip():
                self._blocks.append(attributes["descr"].strip())
            case "tab":
                self._parts.append("\t")
            case "tbl":
                self._tables += 1
        self._inside = tag in self._words

    def end(self, tag: str) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        self._inside = False
        match tag:
            case "p" if self._tables:
                self._parts.append(" ")
            case "p" | "text":
                self._paragraph()
            case "tc" if self._tables == 1:
                self._cells.append(" ".join("".join(self._parts).split()))
                self._parts.clear()
            case "tr" if self._tables == 1:
                self._rows.append(" | ".join(self._cells))
                self._cells.clear()
            case "tbl":
                self._tables -= 1
                if not self._tables:
                    self._blocks.append(self._rows)
                    self._rows = []

    def data(self, text: str) -> None:
        if self._inside and not self._skipped:
            self._parts.append(text)

    def _paragraph(self) -> None:
        text = "".join(self._parts).strip()
        self._parts.clear()
        if not text or self._kind in _MARGINS:
            return
        if self._kind in _TITLES:
            self.title = " ".join(f"{self.title} {text}".split())
        else:
            self._blocks.append(text)

    def write(self, builder: TextBuilder, path: HeadingPath) -> None:
        """Adds what was heard, neighbouring paragraphs as lines of one block."""
        lines: list[str] = []
        for block in [*self._blocks, []]:
            if isinstance(block, str):
                lines.append(block)
                continue
            builder.add("prose", "\n".join(lines), path)
            lines = []
            builder.add_table(block, path)
