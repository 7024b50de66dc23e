"""Lines to the bytes that show them below what is there: finished lines once, a short tail again when it changes.

Does no I/O. Nothing above the tail is ever touched: no alternate screen, no scroll region, nothing cleared. The cursor
stands at the end of the tail's last line. Lines must be narrower than the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agentgw_shell.rendering.spans import Line, paint, plain_text, rest_after

_BEGIN_FRAME: Final = "\x1b[?2026h"
_END_FRAME: Final = "\x1b[?2026l"
_ERASE_LINE_END: Final = "\x1b[K"
MOST_TAIL: Final = 12


def tail_lines(rows: int) -> int:
    """Number of lines that may be drawn again on a screen of so many rows."""
    return max(1, min(MOST_TAIL, rows // 3))


class Screen:
    """The lines that are drawn at the bottom of the screen."""

    def __init__(self, *, synchronized: bool = True) -> None:
        self._synchronized = synchronized
        self._tail: list[Line] = []

    @property
    def shown(self) -> int:
        """Number of lines that may be drawn again."""
        return len(self._tail)

    def update(self, finished: Sequence[Line], tail: Sequence[Line]) -> str:
        """Characters that put these in the old tail's place: finished lines, then the new tail."""
        old, new = self._tail, [*finished, *tail]
        self._tail = list(tail)
        same = 0
        while same < min(len(old), len(new)) and old[same] == new[same]:
            same += 1
        text = self._draw(old, new, same)
        if not tail and new:
            # The next line begins below.
            text += "\r\n"
        return text

    def freeze(self, below: int = 0) -> str:
        """Leave the tail as it is for good and go below it: nobody knows where it stands any more.

        Its last lines, so many, go away: the cursor is at their end, and each is one row as long as it fits.
        """
        text = "\r\n" if self._tail else ""
        self._tail = []
        if below:
            up = f"\x1b[{below - 1}A" if below > 1 else ""
            text = f"{up}\r" + "\r\n".join([_ERASE_LINE_END] * below) + f"{up}\r"
        return text

    def _draw(self, old: Sequence[Line], new: Sequence[Line], same: int) -> str:
        if same == len(old):
            if same == len(new):
                return ""
            lead = "\r\n" if same else ""
            return lead + "\r\n".join(map(paint, new[same:]))
        if same == len(old) - 1 and same < len(new) and (rest := rest_after(old[same], new[same])) is not None:
            return "\r\n".join([paint(rest), *map(paint, new[same + 1 :])])
        return self._redraw(old, new, same)

    def _redraw(self, old: Sequence[Line], new: Sequence[Line], same: int) -> str:
        parts = [f"\x1b[{len(old) - 1 - same}A" if len(old) - 1 > same else "", "\r"]
        kept = _common(old[same], new[same]) if same < len(new) else 0
        if kept > 4:
            parts += [f"\x1b[{kept}C", paint(_from(new[same], kept)), _ERASE_LINE_END]
            drawn = same + 1
        else:
            drawn = same
        for index in range(drawn, max(len(old), len(new))):
            parts.append("\r\n" if index > same else "")
            parts.append(paint(new[index]) if index < len(new) else "")
            parts.append(_ERASE_LINE_END if index < len(old) else "")
        spare = len(old) - len(new)
        if spare > 0:
            # Back to the end of the last line that is left, or to the beginning of the first that is free.
            up = spare if new else spare - 1
            parts.append(f"\x1b[{up}A" if up else "")
            parts.append("\r")
            if new:
                parts.append(paint(new[-1]))
        text = "".join(parts)
        return f"{_BEGIN_FRAME}{text}{_END_FRAME}" if self._synchronized else text


def _common(one: Line, other: Line) -> int:
    """Columns at the beginning that need not be drawn again; only of characters whose width nobody disputes."""
    count = 0
    for (style, text), (other_style, other_text) in zip(one, other, strict=False):
        if style != other_style:
            break
        for left, right in zip(text, other_text, strict=False):
            if left != right or not left.isascii():
                return count
            count += 1
        if len(text) != len(other_text):
            break
    return min(count, len(plain_text(other)))


def _from(line: Line, column: int) -> Line:
    spans = []
    for style, text in line:
        if column < len(text):
            spans.append((style, text[column:]))
        column = max(column - len(text), 0)
    return tuple(spans)
