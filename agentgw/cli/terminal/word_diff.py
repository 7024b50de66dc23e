"""Two texts beside each other for people: what went is in [-…-], what came in {+…+}, as git marks words."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final, Literal

    Change = Literal["same", "gone", "new"]

# Comparing takes up to the square of this; beyond it, lines are compared.
_MOST_WORDS: Final = 4_000
_PIECE: Final = re.compile(r"\s+|\S+")


def pieces(before: str, after: str) -> Iterator[tuple[Change, str]]:
    """The texts cut into what both have, what only the first has and what only the second has.

    Same and gone pieces joined are the first text, same and new ones the second. Space alone between two changes
    counts as changed: a mark a word would be hard to read.
    """
    one, other = _cut(before, after)
    gone = new = ""
    for tag, i, j, k, m in SequenceMatcher(a=one, b=other, autojunk=False).get_opcodes():
        was, becomes = "".join(one[i:j]), "".join(other[k:m])
        if tag == "equal" and (was.strip() or not (gone or new)):
            yield from _changes(gone, new)
            gone = new = ""
            yield "same", was
        else:
            gone, new = gone + was, new + becomes
    yield from _changes(gone, new)


def _changes(gone: str, new: str) -> Iterator[tuple[Change, str]]:
    if gone:
        yield "gone", gone
    if new:
        yield "new", new


def marked(change: Change, text: str) -> str:
    """The piece with its mark."""
    return {"same": text, "gone": f"[-{text}-]", "new": f"{{+{text}+}}"}[change]


def _cut(before: str, after: str) -> tuple[list[str], list[str]]:
    words = _PIECE.findall(before), _PIECE.findall(after)
    if max(map(len, words)) <= _MOST_WORDS:
        return words
    return before.splitlines(keepends=True), after.splitlines(keepends=True)
