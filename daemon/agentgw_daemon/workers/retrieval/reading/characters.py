"""Text as it can be stored, sent and shown in one line. Does no I/O."""

from __future__ import annotations

import re
from typing import Final

_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_SPACES: Final = re.compile(r"\s+")


def clean(text: str) -> str:
    """The text as it can be stored and sent: what is no character becomes the replacement character."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def in_one_line(text: str, most_chars: int) -> str:
    """One line, of a length to show."""
    # Cut before the spaces are looked at: a title may have a megabyte.
    shown = _SPACES.sub(" ", clean(text[: 4 * most_chars])).strip()
    return shown if len(shown) <= most_chars else shown[: most_chars - 1] + "…"
