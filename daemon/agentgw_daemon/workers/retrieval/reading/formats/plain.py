"""Plain text and reStructuredText: paragraphs, underlined titles, indented examples, tables. Does no I/O.

Not docutils: it does not say from where to where in the file a thing is, and its directives open other files. A title
needs nothing but its line and the one below.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import Block, Outline, lines_of, table_path

_Span = tuple[int, int]
_MAX_TITLE_CHARS: Final = 120
_MAX_CAPITALS_CHARS: Final = 48
# docutils allows every one of these; in plain text only those that people underline with.
_ADORNMENTS: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_PLAIN_ADORNMENTS: Final = frozenset("=-~^*#_")
_CODE: Final = re.compile(r"\.\. (?:code|code-block|sourcecode|literalinclude|math|parsed-literal|highlight)::")
_TABLE: Final = re.compile(r"[ \t]{0,12}(?:\+[-=]{2,}[-=+]*\+|={2,}(?:[ \t]+={2,})+)[ \t\r]*\n?")


@dataclasses.dataclass(slots=True)
class _Paragraph:
    """Lines without a blank one between; the first three of them."""

    start: int
    end: int
    head: list[_Span]


def plain_blocks(text: str, outline: Outline) -> Iterator[Block]:
    """The blocks of a text without markup. The capital titles of manual pages are titles too."""
    titles = _Titles(text, outline, _PLAIN_ADORNMENTS)
    for paragraph in _paragraphs(text):
        body = paragraph.start
        if (title := titles.at(paragraph) or titles.in_capitals(paragraph)) is not None:
            yield title
            body = title.end
        if body < paragraph.end:
            yield Block("prose", body, paragraph.end, outline.path)


def restructured_blocks(text: str, outline: Outline) -> Iterator[Block]:
    """The blocks of reStructuredText."""
    titles = _Titles(text, outline, _ADORNMENTS)
    example: _Span | None = None
    expected = False  # the last paragraph announced an example
    for paragraph in _paragraphs(text):
        indented = text[paragraph.start] in " \t"
        if indented and (expected or example is not None):
            example = (example or (paragraph.start, 0))[0], paragraph.end
            continue
        if example is not None:
            yield Block("whole", *example, outline.path)
            example = None
        body = paragraph.start
        if (title := titles.at(paragraph)) is not None:
            yield title
            body = title.end
        if body < paragraph.end:
            is_table = _TABLE.match(text, body) is not None
            is_code = _CODE.match(text, body) is not None
            path = table_path(text, body, paragraph.end, outline.path) if is_table else outline.path
            yield Block("whole" if is_table or is_code else "prose", body, paragraph.end, path)
        last = text[max(body, paragraph.end - 8) : paragraph.end].rstrip()
        expected = last.endswith("::") or _CODE.match(text, body) is not None
    if example is not None:
        yield Block("whole", *example, outline.path)


def line_blocks(text: str, outline: Outline) -> Iterator[Block]:
    """A log, data, configuration: lines, which stay whole."""
    yield Block("lines", 0, len(text), outline.path)


def _paragraphs(text: str) -> Iterator[_Paragraph]:
    made: _Paragraph | None = None
    for start, end in lines_of(text):
        # Most lines show with their first character that they are not blank.
        if text[start].isspace() and text[start:end].isspace():
            if made is not None:
                yield made
            made = None
        elif made is None:
            made = _Paragraph(start, end, [(start, end)])
        else:
            made.end = end
            if len(made.head) < 3:
                made.head.append((start, end))
    if made is not None:
        yield made


class _Titles:
    """Titles, whose level is that of the first title that looks like them."""

    def __init__(self, text: str, outline: Outline, adornments: frozenset[str]) -> None:
        self._text: Final = text
        self._outline: Final = outline
        self._adornments: Final = adornments
        self._styles: list[str] = []

    def at(self, paragraph: _Paragraph) -> Block | None:
        """The underlined title that the paragraph begins with, perhaps overlined too."""
        lines = paragraph.head
        if len(lines) == 3 and (over := self._adornment(lines[0])) and over == self._adornment(lines[2]):
            return self._title(over * 2, lines[1], lines[0][0], lines[2][1])
        if len(lines) < 2 or not (under := self._adornment(lines[1])) or self._text[lines[0][0]] in " \t":
            return None
        title = self._text[slice(*lines[0])].rstrip() if lines[0][1] - lines[0][0] <= 2 * _MAX_TITLE_CHARS else ""
        # Unless it is a line of a table, an underline is about as long as what it underlines.
        if not title or self._adornment(lines[0]) or lines[1][1] - lines[1][0] < len(title) * 0.75:
            return None
        return self._title(under, lines[0], lines[0][0], lines[1][1])

    def in_capitals(self, paragraph: _Paragraph) -> Block | None:
        """A first line in capitals that begins further left than the second or stands alone."""
        start, end = paragraph.head[0]
        if end - start > _MAX_CAPITALS_CHARS or self._text[start].isspace():
            return None
        shown = self._text[start:end].rstrip()
        stands_out = len(paragraph.head) == 1 or self._text[paragraph.head[1][0]].isspace()
        if len(shown) < 3 or not stands_out or not shown.isupper() or shown[-1] in ".,;:!?":
            return None
        return self._title("capitals", (start, end), start, end)

    def _adornment(self, line: _Span) -> str:
        """The character that the line consists of, if it is an adornment."""
        start, end = line
        if end - start > _MAX_TITLE_CHARS:
            return ""
        shown = self._text[start:end].rstrip()
        ok = len(shown) >= 3 and shown[0] in self._adornments and shown == shown[0] * len(shown)
        return shown[0] if ok else ""

    def _title(self, style: str, line: _Span, start: int, end: int) -> Block:
        if style not in self._styles:
            self._styles.append(style)
        path = self._outline.enter(self._styles.index(style) + 1, self._text[slice(*line)])
        return Block("heading", start, end, path)
