"""Blocks of code in an answer's Markdown. Does no I/O."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# A fence that is not closed goes to the end, as Markdown has it.
_BLOCK: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)


def last_block(text: str) -> str | None:
    """The code of the last fenced block, without its fences; None where there is none."""
    found = _BLOCK.findall(text)
    return str(found[-1][1]) if found else None
