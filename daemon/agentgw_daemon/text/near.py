"""Hints for whoever misspelt a name, or wrote a part of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

# Longer than any name that is kept here; comparing takes the product of both lengths.
_MOST: Final = 64
# Fewer letters stand in almost every name.
_LEAST_PART: Final = 3
_MOST_SHOWN: Final = 3


def hint_for(name: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean X?` with the known names that may be meant; the other hint where there are none."""
    near = nearest(name, known)
    return f"did you mean {' or '.join(near)}?" if near else otherwise


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The known name that is most like it, whatever the case, or else some that have it as a part."""
    by_folded = {one.casefold(): one for one in known}
    wanted = name[:_MOST].strip().casefold()
    parts = [one for folded, one in by_folded.items() if wanted in folded] if len(wanted) >= _LEAST_PART else []
    if begun := [one for one in parts if one.casefold().startswith(wanted)]:
        return begun[:_MOST_SHOWN]
    close = [by_folded[one] for one in difflib.get_close_matches(wanted, by_folded, n=1)]
    # The one that is most like a part of several is a matter of their lengths.
    return parts[:_MOST_SHOWN] if not close or close[0] in parts else close
