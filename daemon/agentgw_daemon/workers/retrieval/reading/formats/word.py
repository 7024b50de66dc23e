"""Word documents (DOCX): paragraphs, headings by their styles, lists, tables, notes. Does no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from agentgw_daemon.workers.retrieval.reading.archive import Archive
from agentgw_daemon.workers.retrieval.reading.blocks import BlockKind, Outline, Section, TextBuilder
from agentgw_daemon.workers.retrieval.reading.formats.xml import hear_xml
from agentgw_daemon.workers.retrieval.reading.values import Findings

_DOCUMENT: Final = "word/document.xml"
_STYLES: Final = "word/styles.xml"
_PROPERTIES: Final = "docProps/core.xml"
_NOTES: Final = ("word/footnotes.xml", "word/endnotes.xml")
_HEADING: Final = re.compile(r"heading ([1-9])", re.IGNORECASE)
# Elements that stand for the same once more: a drawing for older programs, an equation's fallback.
_SKIPPED: Final = frozenset({"Fallback"})


def word_sections(data: bytes, findings: Findings, outline: Outline) -> Iterator[Section]:
    """The document as one section, its notes as another."""
    archive = Archive(data)
    styles = _Styles()
    if _STYLES in archive:
        hear_xml(archive.read(_STYLES), styles)
    if _PROPERTIES in archive:
        properties = _Properties()
        hear_xml(archive.read(_PROPERTIES), properties)
        findings.title = properties.title.strip()
    outline.restart(findings.title)
    builder = TextBuilder()
    hear_xml(archive.read(_DOCUMENT), _WordWriter(builder, outline, styles))
    findings.title = findings.title or outline.first
    yield builder.take()
    for name in _NOTES:
        if name in archive:
            outline.restart(findings.title)
            hear_xml(archive.read(name), _WordWriter(builder, outline, styles))
            yield builder.take()


class _Properties:
    """Hears the document's title."""

    def __init__(self) -> None:
        self.title = ""
        self._inside = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._inside = tag == "title"

    def end(self, tag: str) -> None:
        self._inside = False

    def data(self, text: str) -> None:
        if self._inside:
            self.title += text


class _Styles:
    """Hears which styles are headings and lists: by their English names, which every Word writes, or their outline."""

    def __init__(self) -> None:
        self.levels: Final[dict[str, int]] = {}
        self.lists: Final[set[str]] = set()
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
        elif tag == "outlineLvl" and self._style and value in set("012345678"):
            self.levels.setdefault(self._style, int(value) + 1)

    def end(self, tag: str) -> None:
        if tag == "style":
            self._style = ""

    def data(self, text: str) -> None:
        pass


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
                self._level = self._styles.levels.get(attributes.get("val", ""), 0)
                self._listed = attributes.get("val", "") in self._styles.lists
            case "outlineLvl" if attributes.get("val", "") in set("012345678"):
                self._level = int(attributes["val"]) + 1
            case "numPr":
                self._listed = True
            case "tab":
                self._parts.append("\t")
            case "br" | "cr":
                self._parts.append("\n")
            case "noBreakHyphen":
                self._parts.append("-")
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
                    self._add("whole", "\n".join(self._rows))
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
