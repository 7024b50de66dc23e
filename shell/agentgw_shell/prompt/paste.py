"""Long pastes as short markers in the line that is being edited. Does no I/O."""

from __future__ import annotations

import re
from typing import Final

# A paste of more is a text of its own rather than a part of the line.
_MOST_LINES: Final = 6
_MOST_CHARACTERS: Final = 600
_MARKER: Final = re.compile(r"\[pasted (\d+): [^\]]*\]")


class Pastes:
    """The texts behind the markers of one chat."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}

    def shorten(self, text: str) -> str:
        """The stand-in for a pasted text in the line: itself, or a marker."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = text.count("\n") + 1
        if lines <= _MOST_LINES and len(text) <= _MOST_CHARACTERS:
            return text
        number = len(self._texts) + 1
        self._texts[number] = text
        size = f"{lines} lines" if lines > 1 else f"{len(text)} characters"
        return f"[pasted {number}: {size}]"

    def expand(self, text: str) -> str:
        """The line with the texts in the places of their markers."""
        return _MARKER.sub(lambda found: self._texts.get(int(found[1]), found[0]), text)
