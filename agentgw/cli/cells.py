"""Text by the cells of a terminal it takes: Chinese, Japanese, Korean and emoji take two, marks over letters none."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

# A word that reaches this far back is cut: where the words before it end, too much of the line would be empty.
_LONGEST_TAIL: Final = 20


def width(text: str) -> int:
    """The cells that a text of one line takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def ljust(text: str, cells: int) -> str:
    """The text with blanks behind it up to the width."""
    return text + " " * (cells - width(text))


def rjust(text: str, cells: int) -> str:
    """The text with blanks before it up to the width."""
    return " " * (cells - width(text)) + text


def cut(text: str, cells: int) -> str:
    """The text where it fits; else its beginning and an ellipsis, between two words where one ends near enough."""
    if width(text) <= cells:
        return text
    head = _head(text, max(cells - 1, 0))
    if not head.endswith(" ") and text[len(head)] != " ":
        at = head.rfind(" ")
        # Not to the end of another column; and scripts without blanks may be cut anywhere.
        if at > 0 and head[at - 1] != " " and len(head) - at <= _LONGEST_TAIL:
            head = head[:at]
    return f"{head.rstrip()}…"


def wrapped(text: str, cells: int) -> Iterator[str]:
    """The words of the text in lines that fit; a word that is longer than a line is parted."""
    line = ""
    for word in text.split():
        if line and width(line) + 1 + width(word) > cells:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
        while width(line) > cells > 1:
            head = _head(line, cells)
            yield head
            line = line[len(head) :]
    if line:
        yield line


def _head(text: str, cells: int) -> str:
    if text.isascii():
        return text[:cells]
    for at, one in enumerate(text):
        cells -= _cells(one)
        if cells < 0:
            return text[:at]
    return text


def _cells(one: str) -> int:
    if one < "\u0300":
        return 1
    # Here, for most texts need it not.
    from unicodedata import category, east_asian_width

    return 0 if category(one) in ("Mn", "Me") else 2 if east_asian_width(one) in "WF" else 1
