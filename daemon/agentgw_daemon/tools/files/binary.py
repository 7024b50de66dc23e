"""Telling text from what is none. Standard library only: a child process that searches files imports it."""

from __future__ import annotations

from typing import Final

# git's own test for a binary file looks at so much.
PROBE_BYTES: Final = 8000


def is_binary(raw: bytes) -> bool:
    """Tells whether it is no text."""
    return b"\0" in raw[:PROBE_BYTES]
