"""Tables as their rows come: the first rows settle the widths, later ones follow them. Does no I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from agentgw_shell.rendering.cells import width
from agentgw_shell.rendering.inline import styled
from agentgw_shell.rendering.spans import BOLD, DIM, PLAIN, Line, Span, line_of, trimmed
from agentgw_shell.rendering.wrapping import Wrapper

# Rows that are looked at before the first is written; with its head a table of so many fits the part of the screen
# that may be drawn again.
SETTLING_ROWS: Final = 4
_GAP: Final = " │ "
_LEAST_COLUMNS: Final = 3
_MOST_CELLS: Final = 64
_RULE_COLUMNS: Final = 12
_RULE: Final = re.compile(r"\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")


def is_rule(line: str) -> bool:
    """True when the line is the one below a table's head."""
    return "|" in line and _RULE.fullmatch(line) is not None


class Table:
    """One table: rows go in as they are written, lines come out."""

    def __init__(self, columns: int, prefix: Line) -> None:
        self._columns = columns
        self._prefix = prefix
        self._head: list[str] = []
        self._align: list[str] = []
        self._rows: list[list[str]] = []
        self._widths: list[int] | None = None
        self._headed = False

    def begin(self, head: str, rule: str) -> None:
        """Take the table's head and the line below it."""
        self._head = _cells(head)
        self._align = [_alignment(cell) for cell in _cells(rule)]

    def add(self, row: str) -> list[Line]:
        """One more row; gives the lines that are settled by it."""
        self._rows.append(_cells(row)[: len(self._head)])
        return self.settle() if self._widths is not None or len(self._rows) >= SETTLING_ROWS else []

    def settle(self) -> list[Line]:
        """The lines of all rows so far; widths change no more."""
        lines = self.likely()
        if self._widths is None:
            self._widths = self._measure()
        self._headed = True
        self._rows.clear()
        return lines

    def likely(self) -> list[Line]:
        """The lines of the rows that are not settled, as they would be now."""
        if not self._fits():
            return [line for row in self._rows for line in self._listed(row)]
        widths = self._widths or self._measure()
        lines: list[Line] = []
        if not self._headed:
            lines += self._row(self._head, widths, BOLD)
            lines.append(line_of([*self._prefix, (DIM, "─┼─".join("─" * columns for columns in widths))]))
        for row in self._rows:
            lines += self._row(row, widths, PLAIN)
        return lines

    def resize(self, columns: int) -> None:
        """Fit later rows into another width."""
        self._columns = columns
        if self._widths is not None:
            self._widths = self._fitted(self._widths)

    def _fits(self) -> bool:
        """True when the narrowest columns have room side by side."""
        count = len(self._head)
        return count * _LEAST_COLUMNS + (count - 1) * len(_GAP) <= self._room()

    def _room(self) -> int:
        return self._columns - sum(width(text) for _, text in self._prefix)

    def _listed(self, row: Sequence[str]) -> list[Line]:
        """A row of a table that is too wide: a line a cell, below its heading's name."""
        lines = [line_of([*self._prefix, (DIM, "─" * min(self._room(), _RULE_COLUMNS))])]
        for head, cell in zip(self._head, row, strict=False):
            wrapper = Wrapper(self._columns, self._prefix, line_of([*self._prefix, (PLAIN, "  ")]))
            wrapper.add([*styled(head, BOLD), (BOLD, ": "), *styled(cell)])
            lines += wrapper.end()
        return lines

    def _measure(self) -> list[int]:
        widths = [_LEAST_COLUMNS] * len(self._head)
        for row in (self._head, *self._rows):
            for index, cell in enumerate(row):
                widths[index] = max(widths[index], width("".join(text for _, text in styled(cell))))
        return self._fitted(widths)

    def _fitted(self, widths: list[int]) -> list[int]:
        room = self._room() - len(_GAP) * (len(self._head) - 1)
        while sum(widths) > room and max(widths) > _LEAST_COLUMNS:
            widest = max(widths)
            next_widest = max((one for one in widths if one < widest), default=_LEAST_COLUMNS)
            number = widths.count(widest)
            # All of the widest alike, down to the next, and not further than needed.
            less = min(widest - next_widest, -(-(sum(widths) - room) // number))
            widths = [one - max(less, 1) if one == widest else one for one in widths]
            widths = [max(one, _LEAST_COLUMNS) for one in widths]
        return widths

    def _row(self, row: Sequence[str], widths: Sequence[int], style: str) -> list[Line]:
        if not widths:
            return []
        columns = [_wrapped(row[index] if index < len(row) else "", size, style) for index, size in enumerate(widths)]
        lines = []
        for level in range(max(map(len, columns))):
            spans: list[Span] = list(self._prefix)
            for index, (cell, size) in enumerate(zip(columns, widths, strict=True)):
                text = cell[level] if level < len(cell) else ()
                spans += [(PLAIN, _GAP)] if index else []
                spans += self._aligned(index, text, size)
            lines.append(trimmed(line_of(spans)))
        return lines

    def _aligned(self, index: int, cell: Line, size: int) -> list[Span]:
        blanks = max(size - sum(width(text) for _, text in cell), 0)
        align = self._align[index] if index < len(self._align) else "left"
        before = blanks if align == "right" else blanks // 2 if align == "centre" else 0
        return [(PLAIN, " " * before), *cell, (PLAIN, " " * (blanks - before))]


def _wrapped(cell: str, columns: int, style: str) -> list[Line]:
    wrapper = Wrapper(columns)
    wrapper.add([(one[0], one[1].replace("\n", " ")) for one in styled(cell, style)])
    return wrapper.end()


def _cells(row: str) -> list[str]:
    row = row.strip().removeprefix("|")
    if row.endswith("|") and not row.endswith("\\|"):
        row = row[:-1]
    cells = re.split(r"(?<!\\)\|", row)[:_MOST_CELLS]
    return [cell.replace("\\|", "|").strip() for cell in cells]


def _alignment(cell: str) -> str:
    if cell.endswith(":"):
        return "centre" if cell.startswith(":") else "right"
    return "left"
