"""Blocks of code in an answer's Markdown. Does no I/O."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# Also within an item of a list, whose text begins further right: a fence may stand anywhere on its line.
_FENCE: Final = re.compile(r"([ \t]*(?:(?:[-*+]|[0-9]{1,9}[.)])[ \t]+)?)(?:(`{3,})[^`]*|(~{3,}).*)")


def last_block(text: str) -> str | None:
    """The code of the last fenced block, without its fences and their indentation; None where there is none.

    A fence that is not closed goes to the end, as Markdown has it; with nothing behind it, it is none.
    """
    found: str | None = None
    opened: re.Match[str] | None = None
    lines: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if opened is None:
            opened, lines = _FENCE.fullmatch(line), []
        elif _closes(line, opened[2] or opened[3]):
            found, opened = "".join(f"{one}\n" for one in lines), None
        else:
            lines.append(_moved(line, len(opened[1])))
    if opened is not None and any(lines):
        return "\n".join(lines)
    return found


def _closes(line: str, fence: str) -> bool:
    bare = line.strip(" \t")
    return len(bare) >= len(fence) and not bare.strip(fence[0])


def _moved(line: str, indentation: int) -> str:
    """The line without as many blanks in front as its fence has."""
    blanks = len(line) - len(line.lstrip(" \t"))
    return line[min(indentation, blanks) :]
