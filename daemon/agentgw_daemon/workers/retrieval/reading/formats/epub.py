"""Books (EPUB): their chapters in reading order. Does no I/O."""

from __future__ import annotations

import posixpath
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import Outline, Section, TextBuilder
from agentgw_daemon.workers.retrieval.reading.decoding import decode
from agentgw_daemon.workers.retrieval.reading.files.archive import Archive
from agentgw_daemon.workers.retrieval.reading.formats.markup.html import declared_encoding, write_html
from agentgw_daemon.workers.retrieval.reading.formats.markup.xml import hear_xml
from agentgw_daemon.workers.retrieval.reading.values import ParserNotes, Unreadable

_CONTAINER: Final = "META-INF/container.xml"
_ENCRYPTION: Final = "META-INF/encryption.xml"
_PAGE_TYPES: Final = frozenset(
    {
        "application/xhtml+xml",
        "text/html",
        "application/xml",
        "text/xml",
        "text/x-oeb1-document",
        "application/x-dtbook+xml",
        "image/svg+xml",
    }
)


def epub_sections(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """One section a file of the book."""
    archive = Archive(data)
    container = _Container()
    hear_xml(archive.read(archive.named(_CONTAINER) or _CONTAINER), container)
    where = urllib.parse.unquote(container.package)
    where = archive.named(container.package) or archive.named(where) or where
    where = where or next((name for name in archive.names() if name.lower().endswith(".opf")), "")
    if not where:
        raise Unreadable("does not say where the book is")
    package = _Package()
    hear_xml(archive.read(where), package)
    parser_notes.title = " ".join(package.title.split())
    locked = _locked(archive)
    missing = 0
    for named in package.pages(posixpath.dirname(where)):
        name = archive.named(named)
        if name in locked:
            raise Unreadable("is encrypted (copy protection)")
        if not name:
            missing += 1
            continue
        outline.restart(parser_notes.title)
        builder = TextBuilder()
        # The title of a file of a book is mostly the book's, and its headings say more.
        page_outline = _Quiet(parser_notes.title, outline)
        page = archive.read(name)
        write_html(decode(page, declared_encoding(page)).text, builder, page_outline)
        outline.first = outline.first or page_outline.first
        yield builder.take()
    if missing:
        parser_notes.notes.append(f"{missing} of the book's files are missing")
    parser_notes.title = parser_notes.title or outline.first


class _Quiet(Outline):
    """An outline that takes no titles from the heads of pages."""

    def __init__(self, title: str, outer: Outline) -> None:
        super().__init__(title)
        self.first = outer.first

    def restart(self, *base: str) -> None:
        """Ignores the mark: a page has none."""


def _locked(archive: Archive) -> frozenset[str]:
    """Files that are encrypted; with fonts alone one can read the book."""
    if not (where := archive.named(_ENCRYPTION)):
        return frozenset()
    encryption = _Encryption()
    hear_xml(archive.read(where), encryption)
    return frozenset(filter(None, map(archive.named, encryption.names)))


class _Container:
    """Hears where the package is."""

    def __init__(self) -> None:
        self.package = ""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "rootfile" and not self.package:
            self.package = attributes.get("full-path", "")

    def end(self, tag: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass


class _Encryption:
    """Hears which files are encrypted."""

    def __init__(self) -> None:
        self.names: Final[list[str]] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "CipherReference":
            self.names.append(urllib.parse.unquote(attributes.get("URI", "")))

    def end(self, tag: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass


class _Package:
    """Hears title, files and their order."""

    def __init__(self) -> None:
        self.title = ""
        self._files: dict[str, str] = {}
        self._order: list[str] = []
        self._in_title = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._in_title = tag == "title" and not self.title
        if tag == "item" and attributes.get("media-type", "").lower() in _PAGE_TYPES:
            self._files[attributes.get("id", "")] = attributes.get("href", "")
        elif tag == "itemref":
            self._order.append(attributes.get("idref", ""))

    def end(self, tag: str) -> None:
        self._in_title = False

    def data(self, text: str) -> None:
        if self._in_title:
            self.title += text

    def pages(self, folder: str) -> Iterator[str]:
        """Names of the files in reading order, each once."""
        for one in dict.fromkeys(self._order):
            if href := self._files.get(one, ""):
                yield posixpath.normpath(posixpath.join(folder, urllib.parse.unquote(href.partition("#")[0])))
