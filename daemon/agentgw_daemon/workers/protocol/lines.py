"""Lines, of which a worker's wire is made. Imported by both ends, so it knows only the standard library."""

from __future__ import annotations

from typing import Final

# Some tens of thousands of vectors, or the text of a large book; a reader never sends more at once. A prompt is at most
# one client message (1 MiB) plus a session's history; a rendered prompt comes back whole.
MAX_LINE_BYTES: Final = 64 << 20


class WireError(Exception):
    """The other end said something that is no message."""
