"""An answer on the terminal while it streams: frames with a limit on their rate, their bytes and their height.

Does no I/O but through the function that it writes with; time is given to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from agentgw_shell.rendering.cells import pieces, width
from agentgw_shell.rendering.markdown import MarkdownStream
from agentgw_shell.rendering.screen import Screen, tail_lines
from agentgw_shell.rendering.spans import Line, Span, line_of, plain_text

# Twenty a second: what moves faster is not read.
FRAME_S: Final = 0.05
# A frame that would draw again waits while more than this, per byte of the answer, was written.
_MOST_WRITTEN: Final = 2.5
_HEADROOM_BYTES: Final = 512


class AnswerView:
    """Shows text as Markdown, notes between it, and lines below that are not of the answer, such as a draft."""

    def __init__(self, write: Callable[[str], None], columns: int, rows: int, *, synchronized: bool = True) -> None:
        self._write = write
        self._rows = rows
        # The last column stays free: what is written into it wraps on some terminals and not on others.
        self._markdown = MarkdownStream(max(columns - 1, 8))
        self._screen = Screen(synchronized=synchronized)
        self._unread: list[str] = []
        self._below: tuple[Line, ...] = ()
        # As they are on the screen, which is as they were at the last frame.
        self._drawn_below: list[Line] = []
        self._read_bytes = 0
        self._written_bytes = 0
        self._drawn_s = float("-inf")
        self._changed = False

    def feed(self, text: str) -> None:
        """Take more of the answer; it is shown with the next frame."""
        self._unread.append(text)
        self._changed = True

    def set_below(self, lines: Sequence[Line]) -> None:
        """Lines to show below the answer from the next frame on."""
        if tuple(lines) != self._below:
            self._below = tuple(lines)
            self._changed = True

    def due_s(self, now_s: float) -> float | None:
        """Seconds until the next frame; None when there is nothing to show."""
        return max(0.0, self._drawn_s + FRAME_S - now_s) if self._changed else None

    def frame(self, now_s: float) -> None:
        """Show what came since the last frame, if that is long enough ago and has cost little enough."""
        if not self._changed or now_s < self._drawn_s + FRAME_S:
            return
        self._drawn_s = now_s
        unread = sum(map(len, self._unread))
        if self._written_bytes > _MOST_WRITTEN * (self._read_bytes + unread) + _HEADROOM_BYTES and not self._below:
            return
        self._draw(self._read())

    def note(self, lines: Sequence[Line]) -> None:
        """Write lines that are no part of the answer, which goes on below them."""
        self._draw([*self._read(), *self._markdown.end(), *lines])

    def finish(self) -> None:
        """Write all of the complete answer; nothing stays below it."""
        self._below = ()
        self._draw([*self._read(), *self._markdown.end()])

    def resize(self, columns: int, rows: int) -> None:
        """Take the terminal's new size: lines that are drawn stay, later ones use the new width.

        The lines below the answer move on with it, unless one no longer fits: it may be two rows by now, or not.
        """
        shown = max(self._screen.shown - len(self._drawn_below), 0)
        finished = self._markdown.resize(max(columns - 1, 8))
        widths = [width(plain_text(line)) for line in self._drawn_below]
        fits = len(widths) <= rows and all(cells < columns for cells in widths)
        self._send(self._screen.freeze(len(widths) if fits else 0))
        self._rows = rows
        self._draw(finished[shown:])

    def _read(self) -> list[Line]:
        text = "".join(self._unread)
        self._unread.clear()
        self._read_bytes += len(text.encode("utf-8", "replace"))
        return self._markdown.feed(text)

    def _draw(self, finished: Sequence[Line]) -> None:
        self._changed = False
        room = max(tail_lines(self._rows) - len(self._below), 1)
        below = self._drawn_below = [_clipped(line, self._markdown.columns) for line in self._below]
        self._send(self._screen.update(finished, [*self._markdown.tail()[:room], *below]))

    def _send(self, text: str) -> None:
        if text:
            self._written_bytes += len(text.encode("utf-8", "replace"))
            self._write(text)


def _clipped(line: Line, columns: int) -> Line:
    """As much of the line as fits: one that wraps would not be where it is drawn again."""
    if width(plain_text(line)) <= columns:
        return line
    spans: list[Span] = []
    for style, text in line:
        piece = next(iter(pieces(text, columns)), "") if columns > 0 else ""
        spans.append((style, piece))
        columns -= width(piece)
    return line_of(spans)
