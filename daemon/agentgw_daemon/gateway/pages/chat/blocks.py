"""An answer's text as it grows, cut into blocks that cannot change any more and the open one at its end. Does no I/O.

A finished block is rendered once; only the open one is rendered again, and that less and less often the longer it gets,
so that the work for an answer grows with its length and not with the square of it.
"""

from __future__ import annotations

from typing import Final

from agentgw_daemon.gateway.pages.chat.markdown import first_lines

# Up to here the open block is looked at with each new line, from then on when it has grown by a part.
_SHORT_CHARS: Final = 2000
_GROWTH: Final = 8
# An open block is cut here whatever it is: for each word a browser puts all lines of the block in their places again.
_MOST_OPEN_CHARS: Final = 20_000
# A paragraph is cut before, as nothing is lost by it: two of them read like one that was too long.
_MOST_PARAGRAPH_CHARS: Final = 4000
_PARAGRAPH: Final = "paragraph_open"


class MarkdownBlocks:
    """The text of one answer."""

    def __init__(self) -> None:
        self.open = ""
        self._looked_at_chars = 0
        # Of the open block, once somebody had to know.
        self._kind = ""

    def add(self, text: str) -> list[str]:
        """The blocks that are finished by this text; several may come as one."""
        self.open += text.replace("\r", "")
        finished = []
        length = len(self.open)
        if "\n" in text and (length <= _SHORT_CHARS or length - self._looked_at_chars > length // _GROWTH):
            finished += self._cut()
        while len(self.open) > (most := self._most_chars()):
            finished += self._break(most)
        return finished

    def end(self) -> str:
        """The open block, which no more text will change."""
        rest, self.open, self._looked_at_chars, self._kind = self.open, "", 0, ""
        return rest

    def _most_chars(self) -> int:
        if len(self.open) <= _MOST_PARAGRAPH_CHARS:
            return _MOST_PARAGRAPH_CHARS
        if not self._kind:
            begins = first_lines(self.open[:_SHORT_CHARS])
            self._kind = begins[-1][1] if begins else _PARAGRAPH
        return _MOST_PARAGRAPH_CHARS if self._kind == _PARAGRAPH else _MOST_OPEN_CHARS

    def _cut(self) -> list[str]:
        # A line that is not whole may yet become something else.
        whole = self.open[: self.open.rfind("\n") + 1]
        begins = first_lines(whole)
        line = begins[-1][0] if begins else 0
        self._looked_at_chars = len(self.open)
        if not line:
            return []
        at = _start_of(whole, line)
        finished, self.open = self.open[:at], self.open[at:]
        self._looked_at_chars, self._kind = 0, ""
        return [finished]

    def _break(self, most_chars: int) -> list[str]:
        # Behind a line, else a word, as long as that leaves much of it.
        ends = (self.open.rfind(end, most_chars // 2, most_chars) + 1 for end in ("\n", " "))
        at = next(filter(None, ends), most_chars)
        finished, rest = self.open[:at], self.open[at:]
        begins = first_lines(finished)
        if begins and begins[-1][1] == "fence":
            # Its second half is code as well.
            rest = f"{finished.splitlines()[begins[-1][0]].strip()}\n{rest}"
        self.open = rest
        self._looked_at_chars, self._kind = 0, ""
        return [finished]


def _start_of(text: str, line: int) -> int:
    at = 0
    for _ in range(line):
        at = text.index("\n", at) + 1
    return at
