"""Markdown as it streams: text in, finished lines out, and a preview of the lines that are not finished.

What is finished depends on the text and the width alone, never on how the text was cut into pieces, and is never taken
back. Does no I/O. Line ends of the text are kept: a poem stays a poem.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agentgw.protocol.visible import harmless
from agentgw_shell.rendering.cells import pieces, width
from agentgw_shell.rendering.inline import InlineStream
from agentgw_shell.rendering.lines import MOST_DEPTH, LineHead, read_head
from agentgw_shell.rendering.spans import BOLD, DIM, PLAIN, Line, Span, line_of, plain_text, trimmed
from agentgw_shell.rendering.table import Table, is_rule
from agentgw_shell.rendering.wrapping import Wrapper

if TYPE_CHECKING:
    from agentgw_shell.rendering.code import Highlighter

_HEADING: Final = "1;34"
_CODE_INDENT: Final = "  "
_RULE_COLUMNS: Final = 40


class _Level:
    """One level of a list: where its markers stand in the source, where its words, and how far it is indented here."""

    __slots__ = ("body", "indent", "marker")

    def __init__(self, marker: int, body: int, indent: int) -> None:
        self.marker = marker
        self.body = body
        self.indent = indent


class MarkdownStream:
    """The Markdown of one answer, as its text comes."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._lines: list[Line] = []
        # The part of the current line that is not used: all of it while its kind is open.
        self._rest = ""
        self._return = ""
        self._within_line = False
        # The block ends with the line.
        self._single = False
        self._levels: list[_Level] = []
        self._quotes = 0
        # Depth in quotations of the blank line before the next block; None where there is none.
        self._blank: int | None = None
        self._anything = False
        # At most one of these is open: words, a table with what may become its head, code.
        self._words: Wrapper | None = None
        self._inline = InlineStream()
        self._table: Table | None = None
        self._table_head: LineHead | None = None
        self._fence = ""
        self._fence_indent = 0
        self._code: Highlighter | None = None

    def feed(self, text: str) -> list[Line]:
        """Take more of the answer; gives the lines that are finished."""
        text = self._return + text
        self._return = ""
        if text.endswith("\r"):
            text, self._return = text[:-1], "\r"
        for piece in harmless(text.replace("\r\n", "\n")).splitlines(keepends=True):
            self._take(piece.removesuffix("\n"), ended=piece.endswith("\n"))
        return self._given()

    def end(self) -> list[Line]:
        """End the answer; gives its last lines."""
        if self._return:
            self._return = ""
            self._take(harmless("\r"), ended=False)
        if self._rest or self._within_line:
            self._take("", ended=True)
        self._end_block()
        self._fence, self._code = "", None
        return self._given()

    def resize(self, columns: int) -> list[Line]:
        """Finish the tail as it looks; what follows begins on a new line and has the new width."""
        self.columns = columns
        if self._table is not None:
            self._lines += self._table.settle()
            self._table.resize(columns)
        elif self._words is not None:
            self._words.add(self._inline.settle())
            self._words.resize(columns)
        return self._given()

    def tail(self) -> list[Line]:
        """The lines of what is not finished, as it looks now."""
        if self._table is not None:
            return self._table.likely()
        if self._words is None:
            return []
        shown = self._words.fork()
        shown.add(self._inline.likely())
        return shown.look()

    def _given(self) -> list[Line]:
        if self._words is not None:
            self._lines += self._words.take()
        lines, self._lines = self._lines, []
        return lines

    def _take(self, text: str, *, ended: bool) -> None:
        if self._within_line:
            self._add_words(text.replace("\t", " "))
            self._within_line = not ended
            if ended and self._single:
                self._end_block()
            return
        self._rest += text
        if self._fence:
            if ended:
                line, self._rest = self._rest, ""
                self._code_line(line)
            return
        head = read_head(self._rest, complete=ended)
        if head is None:
            return
        self._rest = ""
        self._begin(head, ended=ended)

    def _begin(self, head: LineHead, *, ended: bool) -> None:
        if self._table_head is not None and self._begin_table(head):
            return
        if head.kind != "table":
            self._end_table()
        if head.kind == "blank":
            self._end_block()
            self._blank = head.quotes
            if head.quotes < self._quotes:
                self._quotes = head.quotes
            return
        if head.quotes != self._quotes:
            self._end_block()
            self._levels.clear()
            self._quotes = head.quotes
        match head.kind:
            case "text":
                self._text(head, ended=ended)
            case "item":
                self._item(head, ended=ended)
            case "heading":
                self._leave_levels(head.indent)
                self._start(_HEADING if len(head.marker) <= 2 else BOLD, head, ended=ended)
            case "rule":
                self._leave_levels(head.indent)
                self._start_block()
                self._lines.append(line_of([*self._prefix(), (DIM, "─" * min(self._room(), _RULE_COLUMNS))]))
            case "fence":
                self._leave_levels(head.indent)
                self._start_block()
                self._open_fence(head)
            case "table":
                if self._table is not None:
                    self._lines += self._table.add(head.rest)
                else:
                    self._leave_levels(head.indent)
                    self._table_head = head

    def _text(self, head: LineHead, *, ended: bool) -> None:
        if self._words is not None:
            self._add_words(f"\n{head.rest}")
            self._within_line = not ended
            return
        if head.indent >= 4 and not self._levels:
            # Code by its indentation. Its end is the line's, so what there is of it waits as any text would.
            self._start(PLAIN, head, ended=ended, indent=" " * (head.indent - 4))
            return
        self._leave_levels(head.indent)
        self._start(PLAIN, head, ended=ended)

    def _item(self, head: LineHead, *, ended: bool) -> None:
        while self._levels and head.indent < self._levels[-1].body and head.indent <= self._levels[-1].marker + 1:
            self._levels.pop()
        outer = self._levels[-1].indent if self._levels else 0
        marker = f"{head.marker} " if head.marker[0].isdigit() else "• "
        level = _Level(head.indent, head.indent + head.marker_columns, outer + len(marker))
        self._end_block()
        first = line_of([*self._prefix(), (PLAIN, " " * outer), (PLAIN, marker)])
        if len(self._levels) < MOST_DEPTH:
            self._levels.append(level)
        self._start_block()
        self._words = Wrapper(self.columns, first, self._indent())
        self._inline = InlineStream()
        self._single = False
        self._add_words(head.rest)
        self._within_line = not ended

    def _start(self, style: str, head: LineHead, *, ended: bool, indent: str = "") -> None:
        """Begin a block of words."""
        self._start_block()
        self._words = self._wrapper(line_of([*self._indent(), (PLAIN, indent)]))
        self._inline = InlineStream(style)
        self._add_words(head.rest)
        self._within_line = not ended
        self._single = head.kind == "heading"
        if ended and self._single:
            self._end_block()

    def _add_words(self, text: str) -> None:
        assert self._words is not None
        self._words.add(self._inline.feed(text))

    def _open_fence(self, head: LineHead) -> None:
        from agentgw_shell.rendering.code import Highlighter

        self._fence, self._fence_indent = head.marker, head.indent
        language = re.match(r"[\w+#.-]*", head.rest)
        self._code = Highlighter(language[0] if language else "")

    def _code_line(self, line: str) -> None:
        for _ in range(self._quotes):
            line = re.sub(r"^ {0,3}> ?", "", line)
        text = line.expandtabs(4)
        stripped = text.strip()
        if stripped.startswith(self._fence) and not stripped.strip(self._fence[0]):
            self._fence, self._code = "", None
            return
        indent = min(self._fence_indent, len(text) - len(text.lstrip(" ")))
        assert self._code is not None
        prefix = line_of([*self._indent(), (PLAIN, _CODE_INDENT)])
        self._lines += _cut(self._code.line(text[indent:].rstrip()), prefix, self.columns)

    def _begin_table(self, head: LineHead) -> bool:
        """True when this line makes the one before the head of a table; else that was text."""
        first, self._table_head = self._table_head, None
        assert first is not None
        if head.kind == "table" and is_rule(head.rest):
            self._start_block()
            self._table = Table(self.columns, self._indent())
            self._table.begin(first.rest, head.rest)
            return True
        self._text(first, ended=True)
        return False

    def _end_table(self) -> None:
        if self._table is not None:
            self._lines += self._table.settle()
            self._table = None

    def _start_block(self) -> None:
        self._end_block()
        if self._blank is not None and self._anything:
            self._lines.append(trimmed(line_of([(DIM, "│ " * min(self._blank, self._quotes))])))
        self._blank = None
        self._anything = True

    def _end_block(self) -> None:
        self._within_line = False
        if self._table_head is not None:
            head, self._table_head = self._table_head, None
            self._text(head, ended=True)
        self._end_table()
        if self._words is not None:
            self._words.add(self._inline.end())
            self._lines += self._words.end()
            self._words = None

    def _leave_levels(self, indent: int) -> None:
        """End the lists that a line with this indent is no part of."""
        while self._levels and indent < self._levels[-1].body:
            self._levels.pop()

    def _wrapper(self, prefix: Line) -> Wrapper:
        return Wrapper(self.columns, prefix, prefix)

    def _prefix(self) -> list[Span]:
        return [(DIM, "│ " * self._quotes)]

    def _indent(self) -> Line:
        return line_of([*self._prefix(), (PLAIN, " " * (self._levels[-1].indent if self._levels else 0))])

    def _room(self) -> int:
        return self.columns - 2 * self._quotes


def _cut(line: Line, prefix: Line, columns: int) -> list[Line]:
    """A line of code, which is never wrapped at words, as the lines it takes."""
    room = max(columns - len(plain_text(prefix)), 8)
    if width(plain_text(line)) <= room:
        return [trimmed(line_of([*prefix, *line]))]
    lines: list[Line] = []
    spans: list[Span] = []
    left = room
    for style, text in line:
        for piece in pieces(text, 1):
            need = width(piece)
            if need > left and spans:
                lines.append(line_of([*prefix, *spans]))
                spans, left = [], room
            spans.append((style, piece))
            left -= need
    lines.append(trimmed(line_of([*prefix, *spans])))
    return lines


def rendered(text: str, columns: int) -> list[Line]:
    """The whole answer at once."""
    stream = MarkdownStream(columns)
    return [*stream.feed(text), *stream.end()]
