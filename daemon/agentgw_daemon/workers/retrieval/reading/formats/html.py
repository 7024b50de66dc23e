"""Text of HTML pages, by libxml2's parser, without a tree: nesting of any depth takes linear time. Does no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from lxml import etree

from agentgw_daemon.workers.retrieval.reading.blocks import BlockKind, Outline, Section, TextBuilder
from agentgw_daemon.workers.retrieval.reading.characters import clean
from agentgw_daemon.workers.retrieval.reading.decoding import decode
from agentgw_daemon.workers.retrieval.reading.values import Findings

_FEED_CHARS: Final = 1 << 16
# Their content is not for readers, or is what every page of a site repeats.
_SKIPPED_NAMES: Final = """
    script style noscript template svg math iframe object audio video canvas select textarea button nav
"""
_SKIPPED: Final = frozenset(_SKIPPED_NAMES.split())
_BLOCK_NAMES: Final = """
    address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer
    form head header hr html legend li main menu ol optgroup option p section summary title ul
"""
_BLOCKS: Final = frozenset(_BLOCK_NAMES.split())
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_SPACES: Final = re.compile(r"[^\S\n]+")
_ALL_SPACES: Final = re.compile(r"\s+")
_AROUND_LINES: Final = re.compile(r" ?\n ?")
_DECLARED: Final = re.compile(rb"(?:charset|encoding)[ \t]{0,4}=[ \t]{0,4}[\"']?([A-Za-z0-9_-]{2,40})")
# XHTML may write `<title/>`; to HTML that is the beginning of a title that never ends.
_EMPTY: Final = re.compile(r"<(script|style|title|textarea|iframe|noscript)(\s[^<>]{0,2000})?/>", re.IGNORECASE)


def html_section(data: bytes, findings: Findings, outline: Outline) -> Iterator[Section]:
    """The page as one section."""
    declared = _DECLARED.search(data[:4096])
    page = decode(data, declared[1].decode("ascii") if declared is not None else "")
    if page.note:
        findings.notes.append(page.note)
    builder = TextBuilder()
    title = write_html(page.text, builder, outline)
    findings.title = findings.title or title or outline.first
    yield builder.take()


def write_html(page: str, builder: TextBuilder, outline: Outline) -> str:
    """Adds the page's blocks; its title."""
    page = _EMPTY.sub(r"<\1\2></\1>", clean(page).replace("\0", ""))
    writer = _HtmlWriter(builder, outline)
    parser = etree.HTMLParser(target=writer, encoding="utf-8", no_network=True, huge_tree=True)
    for at in range(0, len(page), _FEED_CHARS):
        parser.feed(page[at : at + _FEED_CHARS].encode())
    if page:
        parser.close()
    return writer.title


class _HtmlWriter:
    """Hears the parser: collects text up to the next border of a block."""

    def __init__(self, builder: TextBuilder, outline: Outline) -> None:
        self._builder: Final = builder
        self._outline: Final = outline
        self._parts: list[str] = []
        self._skipped: str = ""  # the element that is being skipped, and how deep in its like
        self._skipped_depth = 0
        self._preformatted = 0
        self._tables = 0
        self._in_title = False
        self.title = ""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        if self._skipped:
            self._skipped_depth += tag == self._skipped
        elif tag in _SKIPPED:
            self._skipped, self._skipped_depth = tag, 1
        elif tag == "br":
            self._parts.append("\n")
        elif tag == "img":
            self._parts.append(f" {attributes.get('alt', '')} ")
        elif self._tables:
            self._in_table(tag)
        elif tag in _BLOCKS or tag in _HEADINGS or tag in ("pre", "table"):
            self._flush()
            self._in_title = tag == "title"
            self._preformatted += tag == "pre"
            self._tables += tag == "table"
            if tag == "li":
                self._parts.append("- ")

    def _in_table(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._parts.append(" | ")
        elif tag in ("tr", "caption"):
            self._parts.append("\n")
        elif tag in _BLOCKS or tag in _HEADINGS:
            self._parts.append(" ")
        self._tables += tag == "table"

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._skipped:
            self._skipped_depth -= tag == self._skipped
            if not self._skipped_depth:
                self._skipped = ""
                self._parts.append(" ")
        elif self._tables:
            if tag == "table":
                if self._tables == 1:
                    self._flush("whole")
                self._tables -= 1
        elif tag in _HEADINGS:
            self._flush("heading", _HEADINGS[tag])
        elif tag == "pre":
            self._flush("whole")
            self._preformatted = max(0, self._preformatted - 1)
        elif tag == "title":
            self._take_title()
        elif tag in _BLOCKS:
            self._flush()

    def data(self, text: str) -> None:
        """Text."""
        if not self._skipped:
            self._parts.append(text if self._preformatted else _ALL_SPACES.sub(" ", text))

    def comment(self, text: str) -> None:
        """Passes over a comment, which is nothing for readers."""

    def pi(self, target: str, data: str | None = None) -> None:
        """Passes over an instruction, which is nothing for readers."""

    def close(self) -> None:
        """The page ends, whatever is still open."""
        self._flush("whole" if self._tables or self._preformatted else "prose")

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
        if self._tables:
            text = "\n".join(line.removeprefix("| ") for line in text.split("\n") if line)
        if not text or text.isspace() or text == "-":
            return
        path = self._outline.enter(level, text) if level else self._outline.path
        self._builder.add(kind, text, path)
