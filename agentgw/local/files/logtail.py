"""The end of the daemon's log, read from the file: it works without a daemon."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, Final

# More than any sensible line, times the lines asked for.
_BYTES_A_LINE: Final = 4096


def tail(path: str, lines: int) -> list[str]:
    """The last `lines` lines without their newlines; nothing when there is no log. Raises OSError."""
    try:
        with open(path, "rb") as log:
            return tail_of(log, lines)
    except FileNotFoundError:
        return []


def tail_of(log: BinaryIO, lines: int) -> list[str]:
    """The last lines as `tail` gives them; leaves the file at the place up to which it was read."""
    size = log.seek(0, os.SEEK_END)
    start = max(0, size - lines * _BYTES_A_LINE)
    log.seek(start)
    # Not splitlines: other characters that end lines for it are part of what is told.
    found = log.read(size - start).decode("utf-8", "replace").removesuffix("\n").split("\n") if size else []
    if start and len(found) > 1:
        # Began in the middle of a line.
        del found[0]
    return found[-lines:] if lines > 0 else []
