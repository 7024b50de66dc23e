"""A terminal with its scrollback, as text."""

from __future__ import annotations

import unicodedata

import pyte

_UNDRAWN = dict.fromkeys((0x200D, 0xFE0F))


class Scrollback:
    """A terminal emulator that forgets no line."""

    def __init__(self, columns: int, rows: int) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=1_000_000, ratio=1.0)
        self._stream = pyte.Stream(self._screen)
        self.bytes = 0
        self.writes = 0

    def write(self, text: str) -> None:
        """Show it."""
        self.bytes += len(text.encode())
        self.writes += 1
        # The emulator draws nothing more of a write that has a joiner in it.
        self._stream.feed(text.translate(_UNDRAWN))

    def resize(self, columns: int, rows: int) -> None:
        """Change its size."""
        self._screen.resize(rows, columns)

    def lines(self) -> list[str]:
        """Every line there ever was, without trailing blanks and without empty lines at the end."""
        past = ["".join(row[x].data for x in range(max(row, default=-1) + 1)) for row in self._screen.history.top]
        lines = [line.rstrip() for line in (*past, *self._screen.display)]
        while lines and not lines[-1]:
            lines.pop()
        return lines


def comparable(text: str) -> str:
    """The text without what an emulator may draw otherwise: composition, joiners and the style of emoji."""
    return unicodedata.normalize("NFC", text).translate(_UNDRAWN)
