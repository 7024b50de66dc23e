"""Lines, of which a worker's wire is made. Imported by both ends, so it knows only the standard library."""

from __future__ import annotations


class WireError(Exception):
    """The other end said something that is no message."""
