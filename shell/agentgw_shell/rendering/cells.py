"""Columns that text takes on a terminal, never fewer than any terminal uses. Does no I/O.

Terminals disagree on emoji made of several code points: some draw one glyph, some each part. A line that is counted
too wide is broken early; one that is counted too narrow would wrap unseen and spoil what is drawn below.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from wcwidth import iter_graphemes, wcwidth

_EMOJI_STYLE: Final = "\ufe0f"
_FLAG_LETTERS: Final = range(0x1F1E6, 0x1F200)
# No line of East Asian text begins with these.
_NOT_FIRST: Final = frozenset("、。，．：；！？）］｝」』】〉》〕ー々…")


def width(text: str) -> int:
    """Columns of the text."""
    if text.isascii():
        return len(text)
    total = last = 0
    for one in text:
        if one == _EMOJI_STYLE:
            total += 2 - last if last == 1 else 0
            continue
        last = _columns(one)
        total += last
    return total


def is_wide(one: str) -> bool:
    """True when a line may be broken beside this character without a blank: it takes two columns."""
    return one >= "\u1100" and _columns(one) == 2 and ord(one) < 0x1F000


def breaks_before(one: str) -> bool:
    """True when a line may begin with this wide character."""
    return one not in _NOT_FIRST


def pieces(text: str, columns: int) -> Iterator[str]:
    """The text cut so that each piece fits; what is drawn as one character stays whole, if wider then alone."""
    piece, taken = "", 0
    for cluster in iter_graphemes(text) if not text.isascii() else text:
        need = width(cluster)
        if piece and taken + need > columns:
            yield piece
            piece, taken = "", 0
        piece += cluster
        taken += need
    if piece:
        yield piece


@lru_cache(maxsize=4096)
def _columns(one: str) -> int:
    return 2 if ord(one) in _FLAG_LETTERS else max(wcwidth(one), 0)
