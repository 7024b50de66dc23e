"""XML as text: feeds, manuals, drawings, data. Entities and markup inside of texts are what they stand for.

A title is a heading as deep as its element. What has neither elements nor a sentence in it stands behind its name, with
attributes: `artifactId: agentgw`. No entity that refers to another, or to a file, is expanded. Does no I/O.
"""

from __future__ import annotations

import html
import html.entities
import re
from collections.abc import Iterator, Mapping
from typing import Final

from lxml import etree

from agentgw_daemon.workers.retrieval.reading.blocks import Outline, Section, TextBuilder
from agentgw_daemon.workers.retrieval.reading.characters import clean
from agentgw_daemon.workers.retrieval.reading.decoding import decode
from agentgw_daemon.workers.retrieval.reading.encodings.declared import in_xml
from agentgw_daemon.workers.retrieval.reading.formats.markup.html import FEED_CHARS, write_html
from agentgw_daemon.workers.retrieval.reading.values import ParserNotes, Unreadable

_DECLARATION: Final = re.compile(r"\s*<\?xml[^>]{0,500}\?>")
_DOCTYPE: Final = re.compile(r"<!DOCTYPE[^\[>]{0,2000}(\[)?", re.IGNORECASE)
_DOCTYPE_END: Final = re.compile(r"\]\s{0,200}>")
_ENTITY: Final = re.compile(r"<!ENTITY\s{1,20}([\w.:-]{1,80})\s{1,20}(?:\"([^\"]{0,1000})\"|'([^']{0,1000})')\s{0,20}>")
_MOST_ENTITIES: Final = 1000
# Characters that entities may add to a text, so that none grows out of proportion.
_MOST_GROWTH_CHARS: Final = 4 << 20
_REFERENCE: Final = re.compile(r"&(?:(#\d{1,7}|#x[0-9a-fA-F]{1,6}|[A-Za-z_:][\w.:-]{0,80});)?")
_OF_XML: Final = frozenset({"lt", "gt", "amp", "quot", "apos"})
_MARKUP: Final = re.compile(
    r"</?(?:p|br|div|span|a|b|i|u|em|strong|code|pre|ul|ol|li|dl|dt|dd|h[1-6]|img|table|tr|td|th|blockquote|figure|hr)"
    r"(?:\s[^<>]{0,2000})?/?>",
    re.IGNORECASE,
)
_LEFTOVER: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,31});")
_SPACES: Final = re.compile(r"\s+")
# Whose text is a text, whatever it is called.
_SILENT_NAMES: Final = """
    p para simpara formalpara text listitem item entry description summary content encoded body line seg quote note
    abstract desc div caption screen programlisting literallayout tspan title subtitle term member
"""
_SILENT: Final = frozenset(_SILENT_NAMES.split())
_TITLES: Final = frozenset({"title", "head", "heading"})
_INLINE_NAMES: Final = """
    emphasis literal command option filename ulink xref link quote b i u em strong code sup sub hi span a tspan ref r t
"""
_INLINE: Final = frozenset(_INLINE_NAMES.split())
_KEPT: Final = frozenset({"screen", "programlisting", "literallayout", "pre"})
_SKIPPED: Final = frozenset({"style", "script", "metadata", "binary"})
# Around a title, and no level of their own.
_WRAPPERS: Final = frozenset(
    {"info", "bookinfo", "articleinfo", "head", "header", "teiheader", "filedesc", "titlestmt"}
)
_FEEDS: Final = frozenset({"rss", "feed", "rdf", "channel"})
_MOST_LABELLED_CHARS: Final = 200
_MOST_LINES: Final = 200


def xml_section(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """The document as one section."""
    page = decode(data, in_xml(data))
    if page.note:
        parser_notes.notes.append(page.note)
    builder = TextBuilder()
    writer = _XmlWriter(builder, outline)
    parser = etree.XMLParser(
        target=writer, encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, recover=True,
        huge_tree=True,
    )  # fmt: skip
    text = _without_entities(clean(page.text).replace("\0", ""))
    try:
        for at in range(0, len(text), FEED_CHARS):
            parser.feed(text[at : at + FEED_CHARS].encode())
        parser.close()
    except etree.XMLSyntaxError:
        if writer.elements:
            parser_notes.notes.append("is broken XML, read as far as it goes")
    writer.finish()
    if not writer.elements:
        builder.add("lines", text, outline.path)
    parser_notes.title = writer.title or outline.first
    yield builder.take()


def _without_entities(text: str) -> str:
    """The text without its declarations; entities that they and HTML name are replaced, each once."""
    named: dict[str, str] = {}
    if (found := _DECLARATION.match(text)) is not None:
        text = text[found.end() :]
    if (found := _DOCTYPE.search(text, 0, 1 << 16)) is not None:
        stop = _DOCTYPE_END.search(text, found.end()) if found[1] else re.compile(">").search(text, found.end())
        end = stop.end() if stop is not None else len(text)
        for number, entity in enumerate(_ENTITY.finditer(text, found.end(), end)):
            if number == _MOST_ENTITIES:
                break
            named[entity[1]] = html.unescape(entity[2] or entity[3] or "")
        text = text[: found.start()] + text[end:]

    grown = 0

    def replaced(reference: re.Match[str]) -> str:
        nonlocal grown
        name = reference[1]
        if name is None:
            return "&amp;"
        if name in _OF_XML or name[0] == "#":
            return reference[0]
        value = named.get(name) or html.entities.html5.get(f"{name};", "")
        grown += len(value)
        if grown > _MOST_GROWTH_CHARS:
            raise Unreadable("has entities that grow out of all proportion")
        return html.escape(value)

    return _REFERENCE.sub(replaced, text)


class _Element:
    """An element that is open: its name, its attributes as text until they are written, whether text runs through."""

    __slots__ = ("attributes", "inline", "name", "tag")

    def __init__(self, tag: str, attributes: str, inline: bool) -> None:
        self.tag: Final = tag
        self.name: Final = tag.lower()
        self.attributes = attributes
        self.inline: Final = inline


class _XmlWriter:
    """Hears the parser: collects text up to the next border of an element that is no part of a sentence."""

    def __init__(self, builder: TextBuilder, outline: Outline) -> None:
        self._builder: Final = builder
        self._outline: Final = outline
        self._open: list[_Element] = []
        self._levels = 0
        self._parts: list[str] = []
        self._any_words = False  # among the parts
        self._lines: list[str] = []
        self._in_title = 0
        self._skipped = 0
        self._root = ""
        self.elements = 0
        self.title = ""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        local = tag.rpartition("}")[2]
        name = local.lower()
        self.elements += 1
        self._root = self._root or name
        if self._skipped or name in _SKIPPED:
            self._skipped += 1
            return
        runs = self._in_title > 0 or (name not in _SILENT and self._any_words)
        inline = bool(self._open) and (runs or name in _INLINE)
        if not inline and self._open:
            self._flush(self._open[-1])
        shown = "" if inline or self._root == "svg" else self._shown(attributes)
        self._open.append(_Element(local, shown, inline))
        self._levels += name not in _WRAPPERS
        self._in_title += name in _TITLES

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._skipped:
            self._skipped -= 1
            return
        if not self._open:
            return
        element = self._open[-1]
        if not element.inline:
            self._flush(element)
        self._open.pop()
        self._levels -= element.name not in _WRAPPERS
        self._in_title -= element.name in _TITLES

    def data(self, text: str) -> None:
        """Text."""
        if not self._skipped:
            self._parts.append(text)
            self._any_words = self._any_words or (text != "" and not text.isspace())

    def comment(self, text: str) -> None:
        """Passes over a comment, which is nothing for readers."""

    def pi(self, target: str, data: str | None = None) -> None:
        """Passes over an instruction, which is nothing for readers."""

    def close(self) -> None:
        """The document ends."""

    def finish(self) -> None:
        """Writes what is left, whatever is still open."""
        if self._open:
            self._flush(self._open[-1])
        self._write_lines()

    def _shown(self, attributes: Mapping[str, str]) -> str:
        """Attributes as one line; a long one is a text of its own."""
        made = []
        for name, written in attributes.items():
            # The parser leaves some signs written by their numbers.
            value = html.unescape(written) if _LEFTOVER.search(written) else written
            if len(value) > _MOST_LABELLED_CHARS or _MARKUP.search(value):
                self._write_text(value)
            elif value.strip():
                made.append(f" {name.rpartition('}')[2]}={_SPACES.sub(' ', value).strip()}")
        return "".join(made)

    def _flush(self, element: _Element) -> None:
        text = "".join(self._parts)
        self._parts.clear()
        self._any_words = False
        if _LEFTOVER.search(text):
            text = html.unescape(text)
        if element.name not in _KEPT and not _MARKUP.search(text):
            text = _SPACES.sub(" ", text)
        text = text.strip()
        attributes, element.attributes = element.attributes, ""
        if text and element.name in _TITLES:
            self._write_title(text)
        elif element.name in _SILENT or len(text) > _MOST_LABELLED_CHARS:
            self._write_text(text)
        elif text or attributes:
            self._lines.append(f"{element.tag}{attributes}: {text}" if text else f"{element.tag}{attributes}")
            if len(self._lines) >= _MOST_LINES:
                self._write_lines()

    def _write_title(self, text: str) -> None:
        text = _SPACES.sub(" ", _MARKUP.sub("", text)).strip()
        if not text or text == (self._outline.path or ("",))[-1]:
            return
        self._write_lines()
        self._builder.add("heading", text, self._outline.enter(self._levels, text))
        self.title = self.title or text

    def _write_text(self, text: str) -> None:
        if not text:
            return
        self._write_lines()
        if _MARKUP.search(text) and (self._root in _FEEDS or text.startswith("<")):
            write_html(text, self._builder, Outline(*self._outline.path))
        else:
            self._builder.add("prose", text, self._outline.path)

    def _write_lines(self) -> None:
        lines, self._lines = self._lines, []
        self._builder.add("lines", "\n".join(lines), self._outline.path)
