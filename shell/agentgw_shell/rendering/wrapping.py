"""Words to lines of a given width, a piece at a time: what is finished does not depend on how the text was cut.

Does no I/O. A word is held until a blank or an East Asian character ends it, so that no line is ever taken back.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Final, Self

from agentgw_shell.rendering.cells import breaks_before, is_wide, pieces, width
from agentgw_shell.rendering.spans import PLAIN, Line, Span, line_of, trimmed

# Indentation never leaves fewer columns for words.
_LEAST_COLUMNS: Final = 8


class Wrapper:
    """One block's text as lines. `first` stands before the first line, `rest` before the others."""

    def __init__(self, columns: int, first: Line = (), rest: Line = ()) -> None:
        self._columns = columns
        self._rest = rest
        #: Finished lines; the caller takes them.
        self.lines: list[Line] = []
        self._begun = False
        self._word: list[Span] = []
        self._word_columns = 0
        self._open(first)

    def _open(self, prefix: Line) -> None:
        self._indent = sum(width(text) for _, text in prefix)
        if self._columns - self._indent < _LEAST_COLUMNS:
            prefix, self._indent = (), 0
        self._line: list[Span] = list(prefix)
        self._taken = self._indent
        self._blank = ""

    def take(self) -> list[Line]:
        """The lines finished since the last call."""
        lines, self.lines = self.lines, []
        return lines

    def fork(self) -> Self:
        """A copy without finished lines, on which text can be tried that may change."""
        other = copy.copy(self)
        other.lines, other._line, other._word = [], list(self._line), list(self._word)
        return other

    def add(self, spans: Iterable[Span]) -> None:
        """Take more text; a newline in it ends the line."""
        for style, text in spans:
            start = 0
            for end, one in enumerate(text):
                if one in " \n":
                    self._hold(style, text[start:end])
                    start = end + 1
                    self._place()
                    if one == "\n":
                        self._finish()
                    elif self._taken > self._indent:
                        self._blank = style or " "
                elif one >= "\u1100" and is_wide(one):
                    self._hold(style, text[start:end])
                    start = end
                    if breaks_before(one):
                        self._place()
                    self._hold(style, one)
                    start = end + 1
            self._hold(style, text[start:])

    def look(self) -> list[Line]:
        """The finished lines and the one that is being filled, without a word that may go on."""
        return [*self.lines, trimmed(line_of(self._line))] if self._taken > self._indent else list(self.lines)

    def resize(self, columns: int) -> None:
        """Begins a new line of another width for what follows, unless nothing is on this one."""
        self._columns = columns
        if self._taken > self._indent:
            self._finish()

    def end(self) -> list[Line]:
        """Finish the last line, if there is anything on it; gives all lines that were not taken."""
        self._place()
        if self._taken > self._indent or not self._begun:
            self._finish()
        return self.take()

    def _hold(self, style: str, text: str) -> None:
        if text:
            self._word.append((style, text))
            self._word_columns += width(text)

    def _place(self) -> None:
        """Put the held word onto the line, or onto a new one."""
        if not self._word:
            return
        word, columns = line_of(self._word), self._word_columns
        self._word, self._word_columns = [], 0
        blank = 1 if self._blank else 0
        if self._taken + blank + columns > self._columns and self._taken > self._indent:
            self._finish()
            blank = 0
        if self._taken + blank + columns <= self._columns:
            self._put(word, columns, blank)
            return
        for style, text in word:
            room = self._columns - self._indent
            for piece in pieces(text, room):
                need = width(piece)
                if self._taken + need > self._columns and self._taken > self._indent:
                    self._finish()
                self._put(((style, piece),), need, 0)

    def _put(self, word: Line, columns: int, blank: int) -> None:
        if blank:
            # A blank between two words of one style has it too: an underlined link stays one line.
            style = self._blank.strip()
            self._line.append((style if style == word[0][0] else PLAIN, " "))
        self._line += word
        self._taken += blank + columns
        self._blank = ""

    def _finish(self) -> None:
        self._begun = True
        self.lines.append(trimmed(line_of(self._line)))
        self._open(self._rest)
