"""Pieces of text in one style each, and the bytes that show them. Does no I/O.

A style is the parameters of an SGR sequence, such as `1` or `1;36`; the empty one is plain. A line holds no line end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Span = tuple[str, str]
Line = tuple[Span, ...]

PLAIN: Final = ""
BOLD: Final = "1"
DIM: Final = "2"
ITALIC: Final = "3"
UNDERLINED: Final = "4"
STRUCK: Final = "9"
CODE: Final = "36"
RESET: Final = "\x1b[m"


def joined(*styles: str) -> str:
    """The styles joined to one, each once, in a fixed order."""
    return ";".join(sorted({part for style in styles for part in style.split(";") if part}, key=int))


def line_of(spans: Iterable[Span]) -> Line:
    """The spans as a line: no empty ones, neighbours of one style made one."""
    made: list[Span] = []
    for style, text in spans:
        if not text:
            continue
        if made and made[-1][0] == style:
            made[-1] = (style, made[-1][1] + text)
        else:
            made.append((style, text))
    return tuple(made)


def trimmed(line: Line) -> Line:
    """The line without the blanks at its end."""
    spans = list(line)
    while spans:
        style, text = spans.pop()
        if text := text.rstrip(" "):
            return (*spans, (style, text))
    return ()


def plain_text(line: Line) -> str:
    """The text of a line without its styles."""
    return "".join(text for _, text in line)


def paint(line: Line) -> str:
    """The characters that show the line on a terminal in its plain style, which is plain again afterwards."""
    parts: list[str] = []
    now = PLAIN
    for style, text in line:
        parts += (_change(now, style), text)
        now = style
    parts.append(_change(now, PLAIN))
    return "".join(parts)


def rest_after(shown: Line, wanted: Line) -> Line | None:
    """The part of `wanted` that has to follow `shown`; None when that is no beginning of it."""
    for index, (style, text) in enumerate(shown):
        if index >= len(wanted) or wanted[index][0] != style:
            return None
        other = wanted[index][1]
        if other == text:
            continue
        if index == len(shown) - 1 and other.startswith(text):
            return ((style, other[len(text) :]), *wanted[index + 1 :])
        return None
    return wanted[len(shown) :]


def _change(old: str, new: str) -> str:
    if old == new:
        return ""
    if not new:
        return RESET
    # One colour takes the place of another; all else is taken back first.
    replaces = not old or (_is_colour(old) and _is_colour(new))
    return f"\x1b[{new}m" if replaces else f"\x1b[0;{new}m"


def _is_colour(style: str) -> bool:
    return len(style) == 2 and style[0] in "39"
