"""A session's title, made of its first message. Pure; no model is asked."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from agentgw.protocol.visible import is_seen

MAX_TITLE: Final = 60  # cells of a terminal; a line with the id and the time before it
UNTITLED: Final = "untitled"

# A title is found near the start; the bounds keep a pasted log from costing time.
_READ_CHARACTERS: Final = 8192
_LINE_CHARACTERS: Final = 400
# Less is a greeting ("Hi."), which is no title where more follows.
_LEAST_CELLS: Final = 12

_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_FENCE: Final = re.compile(r"\s*(?:```|~~~)")
_LEADING: Final = re.compile(r"^\s*(?:#{1,6}\s+|>\s*|[-*+]\s+|\d{1,3}[.)]\s+)+")
_LINK: Final = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
_MARKED: Final = re.compile(r"(\*\*|~~|`+)(?=\S)([^*~`]*[^*~`\s])\1")
_EMPHASIS: Final = re.compile(r"(?<![\w*_])([*_])(?=\S)([^*_]*[^*_\s])\1(?![\w*_])")
# CJK sentences end without a space behind them.
_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])")


def title_of(message: str) -> str:
    """The first sentence or line that says something, without markup, in at most MAX_TITLE cells and whole words."""
    title = ""
    for piece in _pieces(message[:_READ_CHARACTERS]):
        title = f"{title} {piece}".strip()
        if _cells(title) >= _LEAST_CELLS:
            break
    if not title.endswith(".."):
        title = title.rstrip(".:,;。 ")
    return _cut(title) or UNTITLED


def _pieces(message: str) -> Iterator[str]:
    """Sentences outside code; only when there are none, the lines of the code."""
    prose: list[str] = []
    code: list[str] = []
    fenced = False
    for line in _ANSI.sub("", message).splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        else:
            (code if fenced else prose).append(line[:_LINE_CHARACTERS])
    lines = [plain for line in prose if (plain := _plain(line))] or [_printable(line) for line in code]
    for line in lines:
        yield from (piece for piece in _SENTENCE_END.split(line) if piece)


def _plain(line: str) -> str:
    line = _LINK.sub(r"\1", _LEADING.sub("", line))
    line = _EMPHASIS.sub(r"\2", _MARKED.sub(r"\2", line))
    return _printable(line) if any(char.isalnum() or ord(char) > 127 for char in line) else ""


def _printable(line: str) -> str:
    """The line without controls and without what is invisible or turns text around."""
    kept = (char if is_seen(char) else " " for char in line if not _joins(char))
    return " ".join("".join(kept).split())


def _joins(char: str) -> bool:
    """Tells whether a character is not seen, and no gap between words either, such as a selector of an emoji's
    colours.
    """
    return unicodedata.category(char) == "Cf" or (char.isprintable() and not is_seen(char))


def _cut(text: str) -> str:
    if _cells(text) <= MAX_TITLE and len(text) <= 2 * MAX_TITLE:
        return text
    cut, used = "", 0
    for char in text[: 2 * MAX_TITLE - 1]:
        used += _cells(char)
        if used > MAX_TITLE - 1:
            break
        cut += char
    whole = cut if text[len(cut) :].startswith(" ") else cut.rpartition(" ")[0]
    # A word that alone is most of the title, or a script without spaces, is cut where it stands.
    return (whole if _cells(whole) > MAX_TITLE // 2 else cut).rstrip() + "…"


def _cells(text: str) -> int:
    """Columns on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
