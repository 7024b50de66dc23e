"""Delivery of events to a reader that may be gone."""

from __future__ import annotations


class ReaderGone(Exception):
    """The other side closed, or did not read for longer than allowed."""
