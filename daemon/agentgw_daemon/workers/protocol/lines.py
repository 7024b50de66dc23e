"""What a worker's wire is made of: whole lines. Imported by both ends, so it knows only the standard library."""

from __future__ import annotations


class WireError(Exception):
    """The other end said something that is no message."""
