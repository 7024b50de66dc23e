"""Parts of an Office document (DOCX, PPTX, XLSX) by their relationships, whatever their names are. Does no I/O."""

from __future__ import annotations

import dataclasses
import posixpath
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Final

from agentgw_daemon.workers.retrieval.reading.files.archive import Archive
from agentgw_daemon.workers.retrieval.reading.formats.markup.xml import hear_xml
from agentgw_daemon.workers.retrieval.reading.values import ParserNotes, Unreadable

_RELATIONSHIPS: Final = "_rels/.rels"
_TYPES: Final = "[Content_Types].xml"
_MAIN: Final = ("officeDocument",)
_PROPERTIES: Final = ("core-properties", "coreProperties")


# Kinds of relationships to parts whose words `drawing_text` gives.
DRAWINGS: Final = ("chart", "chartEx", "diagramData")


# And of those that other programs have made.
_EMBEDDED: Final = frozenset({"package", "oleObject"})
_MOST_NAMED: Final = 5


@dataclasses.dataclass(frozen=True, slots=True)
class PartLink:
    """A relationship to another part: its id, the last word of its type, the part's name in the archive."""

    id: str
    kind: str
    part: str


class _Relationships:
    """Hears the relationships of a part that lies in `folder`."""

    def __init__(self, archive: Archive, folder: str) -> None:
        self.links: Final[list[PartLink]] = []
        self._archive: Final = archive
        self._folder: Final = folder

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag != "Relationship" or attributes.get("TargetMode", "") == "External":
            return
        target = urllib.parse.unquote(attributes.get("Target", "")).replace("\\", "/")
        whole = target if target.startswith("/") else posixpath.join(self._folder, target)
        if part := self._archive.named(posixpath.normpath(whole).lstrip("/")):
            kind = attributes.get("Type", "").rpartition("/")[2]
            self.links.append(PartLink(attributes.get("Id", ""), kind, part))

    def end(self, tag: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass


def links_of(archive: Archive, part: str) -> list[PartLink]:
    """The relationships of a part; an empty name means the document's own."""
    folder, name = posixpath.split(part.replace("\\", "/"))
    where = archive.named(posixpath.join(folder, "_rels", f"{name}.rels"))
    if not where:
        return []
    heard = _Relationships(archive, folder)
    hear_xml(archive.read(where), heard)
    return heard.links


def main_part(archive: Archive, usual: str) -> str:
    """The part with the document itself: by its relationship, or by the name that it usually has."""
    found = next((link.part for link in links_of(archive, "") if link.kind in _MAIN), "")
    return found or archive.named(usual) or usual


def office_kind(archive: Archive) -> str:
    """The format of the document in the archive: docx, pptx, xlsx; empty for none of them."""
    main = main_part(archive, "")
    if not main:
        return ""
    kinds = _ContentTypes(main)
    if where := archive.named(_TYPES):
        try:
            hear_xml(archive.read(where), kinds)
        except Unreadable:
            return ""
    return kinds.kind


class _ContentTypes:
    """Hears what kind of document the main part is."""

    def __init__(self, main: str) -> None:
        self._main: Final = main.replace("\\", "/").lower()
        self.kind = ""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "Override" and attributes.get("PartName", "").lstrip("/").lower() == self._main:
            kind = attributes.get("ContentType", "")
            known = {"wordprocessingml": "docx", "ms-word": "docx", "presentationml": "pptx", "powerpoint": "pptx"}
            known |= {"spreadsheetml": "xlsx", "sheet.macroEnabled": "xlsx"}
            self.kind = next((name for word, name in known.items() if word in kind), "")

    def end(self, tag: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass


def tell_of_embedded(archive: Archive, parts: Iterable[str], parser_notes: ParserNotes) -> None:
    """A note on documents of other programs that these parts show, and that are not read."""
    names: set[str] = set()
    for part in parts:
        try:
            names |= {link.part.rpartition("/")[2] for link in links_of(archive, part) if link.kind in _EMBEDDED}
        except Unreadable:
            # Said where the part itself is read.
            continue
    if names:
        shown = ", ".join(sorted(names)[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
        parser_notes.notes.append(f"{len(names)} documents inside are not read ({shown})")


class _Title:
    """Hears the document's title."""

    def __init__(self) -> None:
        self.title = ""
        self._inside = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._inside = tag == "title" and not self.title

    def end(self, tag: str) -> None:
        self._inside = False

    def data(self, text: str) -> None:
        if self._inside:
            self.title += text


def office_title(archive: Archive) -> str:
    """The title in the document's properties; empty without any."""
    named = (link.part for link in links_of(archive, "") if link.kind in _PROPERTIES)
    where = next(named, "") or archive.named("docProps/core.xml")
    if not where:
        return ""
    properties = _Title()
    hear_xml(archive.read(where), properties)
    return " ".join(properties.title.split())


class DrawingText:
    """Hears the words of a drawing: a chart's titles and names, the boxes of a diagram. A paragraph a line."""

    def __init__(self) -> None:
        self.lines: Final[list[str]] = []
        self._parts: list[str] = []
        self._inside = False
        self._named = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        self._named += tag in ("strCache", "strLit")
        self._inside = tag == "t" or (tag == "v" and self._named > 0)

    def end(self, tag: str) -> None:
        """An element ends."""
        self._inside = False
        self._named -= tag in ("strCache", "strLit")
        if tag in ("p", "pt") and (line := "".join(self._parts).strip()):
            self.lines.append(line)
        if tag in ("p", "pt"):
            self._parts.clear()

    def data(self, text: str) -> None:
        """Text."""
        if self._inside:
            self._parts.append(text)


def drawing_text(archive: Archive, part: str) -> str:
    """The words of a chart's or a diagram's part, each line once."""
    heard = DrawingText()
    hear_xml(archive.read(part), heard)
    return "\n".join(dict.fromkeys(heard.lines))
