"""Text of HTML pages, by libxml2's parser, without a tree: nesting of any depth takes linear time. Does no I/O."""

from __future__ import annotations

import collections
import dataclasses
import html
import re
from collections.abc import Iterator, Mapping
from typing import Final

from lxml import etree

from agentgw_daemon.workers.retrieval.reading.blocks import BlockKind, Outline, Section, TextBuilder
from agentgw_daemon.workers.retrieval.reading.characters import clean
from agentgw_daemon.workers.retrieval.reading.decoding import DecodedText, decode
from agentgw_daemon.workers.retrieval.reading.encodings.declared import in_page
from agentgw_daemon.workers.retrieval.reading.encodings.visual import in_order, is_visual
from agentgw_daemon.workers.retrieval.reading.values import ParserNotes

FEED_CHARS: Final = 1 << 16
# Their content is not for readers, or is what every page of a site repeats.
_SKIPPED_NAMES: Final = """
    script style noscript template svg iframe object audio video canvas select button nav annotation annotation-xml
    rt rp
"""
_SKIPPED: Final = frozenset(_SKIPPED_NAMES.split())
# The parser itself ends these two.
_BOUNDARY: Final = re.compile(
    rf"<(/?)({'|'.join(sorted(_SKIPPED - {'script', 'style'}, reverse=True))})(?=[\s/>])(?:[^<>]{{0,2000}}?(/)>)?",
    re.IGNORECASE,
)
_BLOCK_NAMES: Final = """
    address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer
    form head header hr html legend li main menu ol optgroup option p section summary textarea title ul
"""
_BLOCKS: Final = frozenset(_BLOCK_NAMES.split())
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
# In a cell they say that the table lays out a page. So does a second paragraph, or a long text.
_LAYOUT_NAMES: Final = """
    article aside fieldset form h1 h2 h3 h4 h5 h6 hr main nav section table
"""
_LAYOUT: Final = frozenset(_LAYOUT_NAMES.split())
_CELL_PARTS: Final = frozenset({"td", "th", "tr", "caption", "tbody", "thead", "tfoot"})
_LONG_CELL_CHARS: Final = 400
# Fields whose value somebody wrote.
_WRITTEN_FIELDS: Final = frozenset(
    {"", "text", "search", "email", "url", "tel", "number", "date", "time", "month", "week"}
)
_SPACES: Final = re.compile(r"[^\S\n]+")
_ALL_SPACES: Final = re.compile(r"\s+")
_AROUND_LINES: Final = re.compile(r" ?\n ?")
# XHTML may write `<title/>`; to HTML that is the beginning of a title that never ends.
_EMPTY: Final = re.compile(r"<(script|style|title|textarea|iframe|noscript)(\s[^<>]{0,2000})?/>", re.IGNORECASE)

# Elements of a drawing with words for its readers.
_DRAWN: Final = frozenset({"text", "foreignobject"})
# The parser looks for nothing else in them than their end.
_RAW: Final = ("title", "textarea", "xmp", "iframe", "noembed", "noframes", "noscript")
_BEGUN: Final = re.compile(r"<[a-z]{3,9}(?:\s[^<>]{0,2000})?>([^<\n]{0,500})", re.IGNORECASE)
# As HTML reads them: by all of its names, by numbers of Windows-1252, with and without the semicolon.
_REFERENCE: Final = re.compile(r"&(?:#[xX][0-9a-fA-F]{1,7};?|#\d{1,8};?|[A-Za-z][A-Za-z0-9]{1,31};?)")


def html_section(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """The page as one section."""
    page = decode(data, declared_encoding(data))
    if page.note:
        parser_notes.notes.append(page.note)
    builder = TextBuilder()
    title = write_html(page.text, builder, outline)
    section = builder.take()
    if is_visual(section.text.text):
        section, title = _in_order(section), in_order(title)
        outline.first = in_order(outline.first)
    parser_notes.title = parser_notes.title or title or outline.first
    yield section


def _in_order(section: Section) -> Section:
    """A section of Hebrew in visual order as it is read; its lines stay where they are."""
    blocks = [dataclasses.replace(one, path=tuple(map(in_order, one.path))) for one in section.blocks]
    return Section(DecodedText(in_order(section.text.text)), blocks)


def declared_encoding(data: bytes) -> str:
    """The encoding that a page names for itself; empty for none."""
    return in_page(data)


def write_html(page: str, builder: TextBuilder, outline: Outline) -> str:
    """Adds the page's blocks; its title."""
    page = _REFERENCE.sub(lambda found: html.escape(html.unescape(found[0])), clean(page).replace("\0", ""))
    page = _with_ends(_EMPTY.sub(r"<\1\2></\1>", page))
    writer = _HtmlWriter(builder, outline, _SKIPPED - _never_closed(page))
    parser = etree.HTMLParser(target=writer, encoding="utf-8", no_network=True, huge_tree=True)
    for at in range(0, len(page), FEED_CHARS):
        parser.feed(page[at : at + FEED_CHARS].encode())
    if page:
        parser.close()
    return writer.title


def _with_ends(page: str) -> str:
    """The page without elements that would be text to its end, as nothing closes them; a title ends with its line."""
    lowered = page.lower()
    for name in _RAW:
        at = lowered.rfind(f"<{name}")
        if at < 0 or lowered.find(f"</{name}", at) > 0:
            continue
        found = _BEGUN.match(page, at)
        if found is not None:
            kept = f"<title>{found[1]}</title>" if name == "title" else found[1]
            page = f"{page[:at]}{kept}{page[found.end() :]}"
            lowered = page.lower()
    return page


def _never_closed(page: str) -> frozenset[str]:
    """Elements to skip of which one is never closed, and would take the rest of the page with it."""
    opened: collections.Counter[str] = collections.Counter()
    for found in _BOUNDARY.finditer(page):
        if not found[3]:
            opened[found[2].lower()] += -1 if found[1] else 1
    return frozenset(name for name, number in opened.items() if number > 0)


class _Table:
    """A table that is open: one of data, or one that lays out the page."""

    __slots__ = ("chars", "layout", "paragraphs")

    def __init__(self) -> None:
        self.layout = False
        # Of the cell that is open.
        self.paragraphs = 0
        self.chars = 0


class _HtmlWriter:
    """Hears the parser: collects text up to the next border of a block."""

    def __init__(self, builder: TextBuilder, outline: Outline, skipped: frozenset[str]) -> None:
        self._builder: Final = builder
        self._outline: Final = outline
        self._to_skip: Final = skipped
        self._parts: list[str] = []
        self._skipped: str = ""  # the element that is being skipped, and how deep in its like
        self._skipped_depth = 0
        self._drawn = False  # words of a drawing
        self._preformatted = 0
        self._tables: list[_Table] = []
        self._in_title = False
        self.title = ""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        if self._skipped:
            self._skipped_depth += tag == self._skipped
            if self._drawn and tag in _BLOCKS:
                self._parts.append(" ")
            self._drawn = self._drawn or (tag in _DRAWN and self._skipped == "svg")
            return
        if tag in self._to_skip:
            self._skipped, self._skipped_depth = tag, 1
            return
        if tag in _LAYOUT or (tag == "p" and self._second_paragraph()):
            self._take_for_layout()
        in_table = self._in_table
        if tag == "br":
            self._parts.append("\n")
        elif tag == "img":
            self._parts.append(f" {attributes.get('alt', '')} ")
        elif tag == "input":
            if attributes.get("type", "").lower() in _WRITTEN_FIELDS:
                self._parts.append(f" {attributes.get('value') or attributes.get('placeholder', '')} ")
        elif tag == "table":
            self._flush()
            self._tables.append(_Table())
        elif in_table:
            self._start_in_table(tag)
        elif tag in _BLOCKS or tag in _HEADINGS or tag == "pre" or tag in _CELL_PARTS:
            self._flush()
            self._in_title = tag == "title"
            self._preformatted += tag == "pre"
            if tag == "li":
                self._parts.append("- ")

    @property
    def _in_table(self) -> bool:
        return bool(self._tables) and not self._tables[-1].layout

    def _second_paragraph(self) -> bool:
        if not self._in_table:
            return False
        self._tables[-1].paragraphs += 1
        return self._tables[-1].paragraphs > 1

    def _take_for_layout(self) -> None:
        """The innermost table lays out the page: what it has so far becomes paragraphs, and so does the rest."""
        if self._in_table:
            self._tables[-1].layout = True
            rows = "".join(self._parts).split("\n")
            self._parts.clear()
            for row in rows:
                self._parts.append(row.replace(" | ", " ").strip())
                self._flush()

    def _start_in_table(self, tag: str) -> None:
        table = self._tables[-1]
        if tag in ("td", "th"):
            self._parts.append(" | ")
            table.paragraphs = table.chars = 0
        elif tag in ("tr", "caption"):
            self._parts.append("\n")
        elif tag in _BLOCKS:
            self._parts.append(" ")

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._skipped:
            self._skipped_depth -= tag == self._skipped
            words_end = self._drawn and tag in _DRAWN
            if words_end or not self._skipped_depth:
                self._drawn = False
                self._parts.append(" ")
            if not self._skipped_depth:
                self._skipped = ""
        elif tag == "table":
            self._end_table()
        elif self._in_table:
            return
        elif tag in _HEADINGS:
            self._flush("heading", _HEADINGS[tag])
        elif tag == "pre":
            self._flush("whole")
            self._preformatted = max(0, self._preformatted - 1)
        elif tag == "title":
            self._take_title()
        elif tag in _BLOCKS or tag in _CELL_PARTS:
            self._flush()

    def _end_table(self) -> None:
        if not self._tables:
            return
        if self._tables[-1].layout:
            self._flush()
        else:
            text = _AROUND_LINES.sub("\n", _SPACES.sub(" ", "".join(self._parts)))
            self._parts.clear()
            rows = [row for line in text.split("\n") if (row := line.strip().removeprefix("| ").strip("| "))]
            self._builder.add_table(rows, self._outline.path)
        self._tables.pop()

    def data(self, text: str) -> None:
        """Text."""
        if self._skipped and not self._drawn:
            return
        self._parts.append(text if self._preformatted else _ALL_SPACES.sub(" ", text))
        if self._in_table:
            table = self._tables[-1]
            table.chars += len(text)
            if table.chars > _LONG_CELL_CHARS:
                self._take_for_layout()

    def comment(self, text: str) -> None:
        """Passes over a comment, which is nothing for readers."""

    def pi(self, target: str, data: str | None = None) -> None:
        """Passes over an instruction, which is nothing for readers."""

    def close(self) -> None:
        """The page ends, whatever is still open."""
        if self._in_table:
            self._end_table()
        self._flush("whole" if self._preformatted else "prose")

    def _take_title(self) -> None:
        if self._in_title and not self.title:
            self.title = _ALL_SPACES.sub(" ", "".join(self._parts)).strip()
            self._outline.restart(*self._outline.path, self.title)
            self._parts.clear()
        self._in_title = False

    def _flush(self, kind: BlockKind = "prose", level: int = 0) -> None:
        text = "".join(self._parts)
        self._parts.clear()
        if not self._preformatted:
            text = _AROUND_LINES.sub("\n", _SPACES.sub(" ", text)).strip()
        if not text or text.isspace() or text == "-":
            return
        path = self._outline.enter(level, text) if level else self._outline.path
        self._builder.add(kind, text, path)
