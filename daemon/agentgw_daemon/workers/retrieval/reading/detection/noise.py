"""Bytes that say nothing to anybody: raw sound, points of pictures, and others without a mark. Does no I/O."""

from __future__ import annotations

import re
from typing import Final

from agentgw_daemon.workers.retrieval.reading.values import Unreadable

_SAMPLE_BYTES: Final = 32 << 10
# Fewer bytes beyond ASCII say nothing of what they are.
_FEWEST_HIGH: Final = 24
_SEVERAL_BYTES: Final = ("gb18030", "cp932", "euc_jp", "cp949", "big5hkscs", "utf-16-le", "utf-16-be")
# Of the characters of a text in one of these. Numbers that happen to decode have symbols of all kinds, or none.
_FEWEST_LETTERS: Final = 0.6
_FEWEST_STOPS: Final = 0.01
_STOPS: Final = re.compile("[\u3000-\u3003\uff01\uff0c\uff1a\uff1b\uff1f \t\r\n,.;:!?-]")
# In one byte a letter: Thai has one space in sixty letters, and a short line none.
_FEWEST_SPACES: Final = 0.008
_SHORT_BYTES: Final = 200
# Seldom beside a letter of any language; points of a picture know no letters.
_ODD_BESIDE_HIGH: Final = re.compile(
    rb"[\x80-\xff](?=[#$*+@\\^-`{-\x7f\x00-\x08\x0e-\x1a])|[#$*+@\\^-`{-\x7f\x00-\x08\x0e-\x1a](?=[\x80-\xff])"
)
_MOST_ODD: Final = 0.12
# Where much is beyond ASCII, the rest is words of people, who write capitals in front.
_ODD_IN_WORD: Final = re.compile(rb"[a-z](?=[A-Z])|[A-Za-z](?=[#$*+@\\^`{-~])|[#$*+@\\^`{-~](?=[A-Za-z])")
_LETTER: Final = re.compile(rb"[A-Za-z]")
_MOST_ODD_IN_WORDS: Final = 0.2
_MUCH_HIGH: Final = 0.2
# Neighbours that are the same: few in words, most in a picture of one colour.
_TWICE: Final = re.compile(rb"([\x80-\xff])(?=\1)")
_MOST_TWICE: Final = 0.7
_HIGH: Final = re.compile(rb"[\x80-\xff]")
# Damage apart, a text has those that move the cursor.
_CONTROLS: Final = bytes(set(range(1, 32)) - set(b"\a\t\n\v\f\r\b\x1b\x1a"))
_MOST_CONTROLS: Final = 0.02
_HOLE: Final = re.compile(rb"\0{16,}")


def refuse_noise(data: bytes) -> None:
    """Refuses bytes that are neither UTF-8 nor look like letters in another encoding: raw sound, points of pictures.

    Raises Unreadable. UTF-16, and holes of zeros that a crash left in a log, are none of its business.
    """
    for at in dict.fromkeys((0, max(0, (len(data) - _SAMPLE_BYTES) // 4 * 2))):
        sample = _HOLE.sub(b"", data[at : at + _SAMPLE_BYTES])
        if len(_HIGH.findall(sample)) >= _FEWEST_HIGH and not _is_text(sample):
            raise Unreadable("is binary data, not text")


def _is_text(sample: bytes) -> bool:
    zeros = sample.count(0)
    if zeros > len(sample) * 0.1 and max(sample[::2].count(0), sample[1::2].count(0)) > zeros * 0.9:
        return True
    if _is_utf32(sample):
        return True
    text = sample.decode("utf-8", "replace")
    if text.count("\ufffd") <= len(text) * 0.1 and zeros < len(sample) * 0.1:
        return True
    high = len(_HIGH.findall(sample))
    if len(sample) - len(sample.translate(None, _CONTROLS)) > _MOST_CONTROLS * len(sample):
        return any(_is_written_in(sample, encoding) for encoding in ("utf-16-le", "utf-16-be"))
    if high > _MOST_TWICE * len(sample) and len(_TWICE.findall(sample)) > _MOST_TWICE * high:
        return False
    if any(_is_written_in(sample, encoding) for encoding in _SEVERAL_BYTES):
        return True
    spaces = sum(map(sample.count, b" \t\r\n"))
    spaced = spaces >= _FEWEST_SPACES * len(sample) or len(sample) < _SHORT_BYTES
    if high > _MUCH_HIGH * len(sample):
        letters = len(_LETTER.findall(sample))
        spaced = spaced and len(_ODD_IN_WORD.findall(sample)) <= _MOST_ODD_IN_WORDS * letters
    return spaced and len(_ODD_BESIDE_HIGH.findall(sample)) <= _MOST_ODD * high


def _is_utf32(sample: bytes) -> bool:
    """Tells whether two of four bytes are zeros, but for a letter here and there beyond the first 65,536."""
    most = len(sample) // 4 * 0.9
    return any(min(sample[high::4].count(0), sample[low::4].count(0)) > most for high, low in ((3, 2), (0, 1)))


def _is_written_in(sample: bytes, encoding: str) -> bool:
    # The last letter may be cut.
    for end in range(len(sample), max(len(sample) - 4, 0), -1):
        try:
            text = sample[:end].decode(encoding)
        except UnicodeDecodeError:
            continue
        shown = len(text) - sum(map(str.isspace, text))
        letters, stops = sum(map(str.isalpha, text)), len(_STOPS.findall(text))
        return letters >= _FEWEST_LETTERS * shown and stops >= _FEWEST_STOPS * len(text)
    return False
