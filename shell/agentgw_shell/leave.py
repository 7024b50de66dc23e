"""The end of a chat that a command asks for."""

from __future__ import annotations


class Leave(Exception):
    """The chat is to end."""
