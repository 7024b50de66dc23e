"""Result of parsing a document: sections of text, cut into blocks that know the headings above them. Does no I/O."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from agentgw_daemon.workers.retrieval.reading.characters import clean, in_one_line
from agentgw_daemon.workers.retrieval.reading.decoding import DecodedText

BlockKind = Literal["heading", "prose", "lines", "whole"]
HeadingPath = tuple[str, ...]

# Fits a chunk of the default size, whatever its language.
_WHOLE_TABLE_CHARS: Final = 400
# A first row of prose is no header.
_MAX_HEADER_CHARS: Final = 300
_COLUMNS: Final = re.compile(r"\||[ \t]{2,}|[ \t]&[ \t]|!!|\\\\")
# Lines of a table before its first row: how it is set, and its caption. A row of wiki text may have a line a name.
_NO_ROW: Final = re.compile(
    r"[ \t]{0,20}(?:\\(?:begin|caption|label|centering|small|hline|toprule|endhead|rowcolor)|\{\||\|\+|\|-)"
)
_NAME_LINE: Final = "!"
# Places where a word may be broken, and nothing else.
_SOFT: Final = re.compile("[\u00ad\u200b\u2060\ufeff]")
# A heading of a few lines is a mistake of its markup; a path is context for a chunk, not its content.
_MAX_TITLE_CHARS: Final = 80


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """Characters `start` to `end` of a section's text.

    A "heading" stays with what follows it. "prose" may be cut between sentences, "lines" between lines, and so may
    "whole", which is kept in one piece if it fits: a table, code, a function. `path` has the titles above it, a
    heading's own included. What is cut goes on with a part of what was before, unless it `repeats` nothing. One that
    stands `apart` begins a chunk: what lies before it is left out.
    """

    kind: BlockKind
    start: int
    end: int
    path: HeadingPath = ()
    repeats: bool = True
    apart: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """A stretch of the document's text and its blocks, in order and without overlap; no chunk reaches beyond it."""

    text: DecodedText
    blocks: Iterable[Block]


class Outline:
    """The titles above the place that a parser has reached."""

    def __init__(self, *base: str) -> None:
        self._base = tuple(filter(None, map(title_of, base)))
        self._titles: list[tuple[int, str]] = []
        self.path: HeadingPath = self._base
        self.first = ""  # the title that came first

    def enter(self, level: int, title: str) -> HeadingPath:
        """A heading; the path with it, in which it replaces all of its level and below."""
        while self._titles and self._titles[-1][0] >= level:
            self._titles.pop()
        if shown := title_of(title):
            self._titles.append((level, shown))
            self.first = self.first or shown
        titles = tuple(title for _, title in self._titles)
        # A document that begins with its own title has it once.
        base = self._base[:-1] if titles and self._base and titles[0] == self._base[-1] else self._base
        self.path = base + titles
        return self.path

    def restart(self, *base: str) -> None:
        """Begin another part of the document, below these titles."""
        self._base = tuple(filter(None, map(title_of, base)))
        self._titles = []
        self.path = self._base


def title_of(text: str) -> str:
    """A heading as it stands in a path."""
    return in_one_line(text, _MAX_TITLE_CHARS)


def table_path(text: str, start: int, end: int, path: HeadingPath) -> HeadingPath:
    """The path of a table that is written as text: one too long for a chunk stands below the names in its first row."""
    if end - start <= _WHOLE_TABLE_CHARS:
        return path
    names: list[str] = []
    for at, stop in lines_of(text, start):
        row = text[at : min(stop, at + _MAX_HEADER_CHARS)]
        if at >= end or (names and not row.startswith(_NAME_LINE)):
            break
        if any(map(str.isalnum, row)) and not _NO_ROW.match(row):
            names += filter(None, (name.strip(" \t\r\n!") for name in _COLUMNS.split(row)))
            if not row.startswith(_NAME_LINE):
                break
    return (*path, title_of(", ".join(names))) if names else path


class TextBuilder:
    """The text of a format that has none of its own, written block by block with a blank line between."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._blocks: list[Block] = []
        self._length = 0

    def add(self, kind: BlockKind, text: str, path: HeadingPath) -> None:
        """One block; nothing if it is blank."""
        text = _SOFT.sub("", clean(text))
        text = text.strip("\n\r") if kind in ("lines", "whole") else text.strip()
        if not text or text.isspace():
            return
        if self._parts:
            self._parts.append("\n\n")
            self._length += 2
        self._parts.append(text)
        self._blocks.append(Block(kind, self._length, self._length + len(text), path))
        self._length += len(text)

    def add_table(self, rows: list[str], path: HeadingPath) -> None:
        """A table of lines: one piece if it is short, else each of its chunks stands below the first line."""
        if len(rows) > 1 and sum(map(len, rows)) > _WHOLE_TABLE_CHARS and len(rows[0]) <= _MAX_HEADER_CHARS:
            path = (*path, title_of(rows[0].replace(" | ", ", ")))
            self.add("heading", rows[0], path)
            self.add("lines", "\n".join(rows[1:]), path)
        else:
            self.add("whole", "\n".join(rows), path)

    def take(self) -> Section:
        """The section of all that was added since the last time."""
        made = Section(DecodedText("".join(self._parts)), self._blocks)
        self._parts, self._blocks, self._length = [], [], 0
        return made


def lines_of(text: str, start: int = 0) -> Iterator[tuple[int, int]]:
    """Start and end of each line, its newline included."""
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield start, end
        start = end
