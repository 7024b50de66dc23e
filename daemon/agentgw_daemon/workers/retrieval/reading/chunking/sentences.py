"""Ends of sentences. Every pattern here takes linear time on any text. Does no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

# Each alternative looks at a bounded number of characters before it meets spaces, and spaces are met once.
_BREAK: Final = re.compile(
    r"""
      (?<=[.!?…])["'”’)\]»]{0,3}\s+               # the end of a sentence, in quotes perhaps
    | (?<=[。！？])[”’」』）]{0,2}                   # scripts that put no space there
    | \n(?=[ \t]{0,12}(?:[-*+•–]|\d{1,3}[.)])[ \t])  # the next item of a list
    | \n[^\S\n]{0,80}\n                           # a blank line
    """,
    re.VERBOSE,
)
# "e.g. this", "Dr. No", "J. Smith", "2. Second" do not end at the full stop.
_ABBREVIATION: Final = re.compile(
    r"(?:^|[\s(\[\"'“‘])(?:[A-Za-z]|\d{1,3}|e\.g|i\.e|cf|vs|Dr|Mr|Mrs|Ms|Prof|St|No|Nr|Fig|Figs|Eq|Sec|Ch|Vol|pp|approx|z\.B|d\.h|bzw|ca|u\.a)\.$"
)
_LONGEST_ABBREVIATION: Final = 9


def sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The sentences between two places, spaces around them left out, none empty."""
    at = start
    for found in _BREAK.finditer(text, start, end):
        if _goes_on(text, start, found.start(), found.end(), end):
            continue
        if (made := trimmed(text, at, found.end())) is not None:
            yield made
        at = found.end()
    if (made := trimmed(text, at, end)) is not None:
        yield made


def trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The stretch without the spaces around it; None when nothing is left."""
    piece = text[start:end]
    stripped = piece.lstrip()
    if not stripped:
        return None
    start = end - len(stripped)
    return start, start + len(stripped.rstrip())


def _goes_on(text: str, start: int, stop: int, after: int, end: int) -> bool:
    """Tells whether the full stop before `stop` is no end: of an abbreviation, or a small letter follows."""
    if text[stop - 1 : stop] != "." or "\n\n" in text[stop:after]:
        return False
    if after < end and text[after].islower():
        return True
    return _ABBREVIATION.search(text[max(start, stop - _LONGEST_ABBREVIATION) : stop]) is not None
