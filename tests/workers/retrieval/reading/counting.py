"""Stand-ins for an embedder's tokeniser, of the kinds there are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_PIECES: Final = re.compile(r"\w{1,6}|[^\w\s]")


def by_pieces(texts: Sequence[str]) -> list[int]:
    """Counts like WordPiece: spaces are nothing, long words have several tokens."""
    return [len(_PIECES.findall(text)) for text in texts]


def by_words(texts: Sequence[str]) -> list[int]:
    """Counts like WordPiece with a word that it does not know: one token, however long."""
    return [len(text.split()) for text in texts]


def by_bytes(texts: Sequence[str]) -> list[int]:
    """Counts like a tokeniser of bytes: spaces count too."""
    return [len(text.encode()) for text in texts]


COUNTERS: Final = (by_pieces, by_words, by_bytes)
