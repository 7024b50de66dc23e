"""Text for a terminal, broken between words at its width while it streams. Does no I/O.

Lines that mean something as they are stay whole: those within a fence, rows of a table, code by its indent. A list's
item goes on below its own text. A word that no line has room for is left to the terminal, so that an address can still
be copied in one piece, and the words behind it go on where it ends.
"""

from __future__ import annotations

import re

from agentgw.cli.cells import width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

# Chinese, Japanese and Korean break between any two characters, but not before a closing mark.
_WIDE: Final = "\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60\U00020000-\U0003fffd"
_FIRST_WIDE: Final = "\u2e80"
_CLOSING: Final = "、。，．！？：；）」』】〉》"
_TOKEN: Final = re.compile(rf"\n|[ \t]+|[{_WIDE}][{_CLOSING}]*|[^ \t\n{_WIDE}]+")
_MARKER: Final = re.compile(r"[-*+•>]|\d{1,3}[.)]")
_FENCES: Final = ("```", "~~~")
# A word as long as this is neither a marker nor a fence, whatever follows.
_LONGEST_MARK: Final = 24
_CODE_INDENT: Final = 4
_TAB: Final = 8


class WordWrap:
    """Breaks what it is fed; the word that is being written is held back until it is known how long it gets."""

    def __init__(self, columns: Callable[[], int], *, markdown: bool = True) -> None:
        """`columns` gives the width, which may change meanwhile. Without `markdown` no line is kept whole."""
        self._columns = columns
        self._markdown = markdown
        self._held = ""
        self._fence = ""
        self._in_list = False
        self._begin_line()

    @property
    def is_within_line(self) -> bool:
        """True when the cursor stands behind a text, or would after a `flush`."""
        return self._column > 0 or bool(self._held)

    def feed(self, text: str) -> str:
        """The text up to its last word, with line ends where they are needed."""
        tokens = _TOKEN.findall(self._held + text)
        self._held = tokens.pop() if tokens and tokens[-1] != "\n" else ""
        written = "".join(map(self._written, tokens))
        if width(self._held) > max(self._columns(), _LONGEST_MARK):
            # It has no room on any line: nothing is gained by waiting for its end.
            written += self.flush()
            self._is_within_word = True
        return written

    def flush(self) -> str:
        """The text that was fed and not given yet."""
        held, self._held = self._held, ""
        return self._written(held) if held else ""

    def _begin_line(self) -> None:
        self._column = 0
        self._blanks = ""
        self._hanging = 0
        self._is_begun = False
        self._is_within_word = False
        self._is_whole = bool(self._fence)

    def _written(self, token: str) -> str:
        if token == "\n":
            blanks = self._blanks
            if not self._is_begun:
                self._in_list = False
            self._begin_line()
            return blanks + token
        if token[0] in " \t":
            self._blanks += token
            self._is_within_word = False
            return ""
        if not self._is_begun:
            self._is_begun = True
            self._classify(token)
        columns, cells = self._columns(), width(token)
        taken = self._cells(self._blanks) + cells
        # Behind a word that was not waited for comes more of it, or a character that begins anew.
        self._is_within_word = self._is_within_word and token[0] < _FIRST_WIDE
        fits = self._column + taken <= columns
        # A line of its own is of no use to a word that is longer than that.
        if fits or self._is_whole or self._is_within_word or not self._column or cells > columns - self._hanging:
            blanks, self._blanks = self._blanks, ""
            self._column += taken
            if self._column > columns and not self._is_whole:
                # The terminal goes on with it from its edge.
                self._column = (self._column - 1) % columns + 1
            return blanks + token
        self._blanks = ""
        self._column = self._hanging + width(token)
        return f"\n{' ' * self._hanging}{token}"

    def _classify(self, word: str) -> None:
        """Takes the first word of a line as what the whole line is."""
        indent = self._cells(self._blanks)
        fence = word[:3]
        if self._fence:
            self._fence = "" if fence == self._fence and not word.strip(word[0]) else self._fence
            return
        is_item = _MARKER.fullmatch(word) is not None
        if self._markdown and fence in _FENCES and indent < _CODE_INDENT:
            self._fence = fence
            self._is_whole = True
        elif word.startswith("|") or (indent >= _CODE_INDENT and not is_item and not self._in_list):
            self._is_whole = self._markdown
        hanging = indent + (width(word) + 1 if is_item else 0)
        self._hanging = hanging if hanging <= self._columns() // 2 else 0
        self._in_list = self._in_list or is_item

    def _cells(self, blanks: str) -> int:
        if "\t" not in blanks:
            return len(blanks)
        column = self._column
        for one in blanks:
            column += _TAB - column % _TAB if one == "\t" else 1
        return column - self._column


def broken(text: str, columns: int, *, markdown: bool = True) -> str:
    """The whole text, broken between words."""
    wrap = WordWrap(lambda: columns, markdown=markdown)
    return wrap.feed(text) + wrap.flush()
