"""Hints for whoever misspelt a name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

# Longer than any name that is kept here; comparing takes the product of both lengths.
_MOST: Final = 64


def hint_for(name: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean X?` with the known name that is most like it; the other hint where none is like it."""
    near = difflib.get_close_matches(name[:_MOST], list(known), n=1)
    return f"did you mean {near[0]}?" if near else otherwise
