"""Hebrew in visual order, as old pages and programs have it: each line begins with its last letter. Does no I/O.

Five letters have another form at the end of a word: where these stand at the beginning of words, the order is visual.
"""

from __future__ import annotations

import re
from typing import Final

_AT_START: Final = re.compile("(?<![א-ת])[ךםןףץ](?=[א-ת])")
_AT_END: Final = re.compile("(?<=[א-ת])[ךםןףץ](?![א-ת])")
_SAMPLE_CHARS: Final = 64 << 10
# One may be a mistake of typing, or a single word in a text in order.
_FEWEST: Final = 3
_TIMES_MORE: Final = 4
# Written from left to right in either order.
_OTHER_WAY: Final = re.compile(r"[A-Za-z0-9](?:[ -~]*[A-Za-z0-9])?")
_MIRRORED: Final = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_LINE: Final = re.compile(r"[^\r\n]+")


def is_visual(text: str) -> bool:
    """Tells whether the Hebrew of a text is in visual order."""
    if text.isascii():
        return False
    sample = text[:_SAMPLE_CHARS]
    starts = len(_AT_START.findall(sample))
    return starts >= _FEWEST and starts > _TIMES_MORE * len(_AT_END.findall(sample))


def in_order(text: str) -> str:
    """The text with its lines as they are read; each is as long as before."""
    return _LINE.sub(lambda line: _turned(line[0]), text)


def _turned(line: str) -> str:
    made = line[::-1].translate(_MIRRORED)
    return _OTHER_WAY.sub(lambda run: run[0][::-1].translate(_MIRRORED), made)
