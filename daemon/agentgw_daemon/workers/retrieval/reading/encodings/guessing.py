"""The likeliest encoding of bytes that say nothing of it and are no UTF-8. Does no I/O; looks at a sample.

chardet knows how often letters follow on each other in some fifty languages. It is asked about fewer encodings than it
knows, because a line of text has little to tell many of them apart by.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import chardet

_SAMPLE_BYTES: Final = 64 << 10
# Colours, whose escapes would be taken for those of Japanese.
_TERMINAL: Final = re.compile(rb"\x1b(?:\[[0-?]{0,60}[ -/]{0,4}[@-~])?")
# Around a byte beyond ASCII, to the ends of its line if they are near.
_NEAR_BYTES: Final = 400
_HIGH: Final = re.compile(rb"[\x80-\xff]+")
# Latin letters beyond ASCII stand alone among others; those of other scripts stand together.
_ALONE: Final = 1.6
_FEW_TOGETHER: Final = 3
_LETTERS: Final = re.compile(rb"[A-Za-z]")
_IN_WORDS: Final = re.compile(rb"(?:[A-Za-z][\x80-\xff]+)|(?:[\x80-\xff]+[A-Za-z])")
_MOSTLY: Final = 0.7
# A letter, then a sign that is none in this encoding, then a letter: written in another one.
_INSIDE_WORD: Final = re.compile("[A-Za-z]([^\x00-\x7f]{1,3})(?=[a-z])")
_FITS_INSIDE: Final = frozenset("’‘´–—·\xad")
_MOST_ODD: Final = 0.1
_LATIN_NAMES: Final = """
    cp1252 iso8859-1 iso8859-15 cp850 cp858 cp437 mac-roman cp1250 iso8859-2 cp852 mac-latin2 cp1254
    iso8859-9 cp857 mac-turkish cp1257 iso8859-13 cp775 cp860 cp863 cp1258
"""
_LATIN: Final = frozenset(_LATIN_NAMES.split())
# Seldom in use, and near to others: so many letters tell them apart.
_SELDOM: Final = frozenset({"iso8859-3", "iso8859-4"})
_ENOUGH: Final = 8
# One or two letters tell nothing of the rare ones.
_FREQUENT_NAMES: Final = """
    cp1252 cp1250 cp1254 cp1257 cp850 cp437 mac-roman
"""
_FREQUENT: Final = frozenset(_FREQUENT_NAMES.split())
_OTHERS_NAMES: Final = """
    cp1251 koi8-r koi8-u iso8859-5 cp866 cp1125 cp855 mac-cyrillic cp1253 iso8859-7 cp737 cp869 mac-greek
    cp1255 iso8859-8 cp862 cp1256 iso8859-6 cp720 cp874 tis-620 cp932 euc_jis_2004 shift_jis_2004 gb18030
    big5hkscs euc_kr cp949 johab cp437 cp1252
"""
_OTHERS: Final = frozenset(_OTHERS_NAMES.split())
# Encodings of which another one has all letters, and more.
_WIDER: Final = {
    "iso8859-1": "cp1252", "iso8859-9": "cp1254", "tis-620": "cp874", "euc_kr": "cp949", "shift_jis_2004": "cp932",
    "euc_jis_2004": "euc_jp",
}  # fmt: skip
_OTHERWISE: Final = "cp1252"


def guessed(data: bytes) -> str:
    """The name of Python's codec."""
    # Holes that a crash left are no letters.
    sample = _TERMINAL.sub(b"", sample_of(data).replace(b"\0", b""))
    among = _LATIN if _is_latin(sample) else _OTHERS
    high = sum(map(len, _HIGH.findall(sample)))
    if among is _LATIN:
        among = _FREQUENT if high < _FEW_TOGETHER else _LATIN if high < _ENOUGH else _LATIN | _SELDOM
        if sample.count(b"\r") > 1 and b"\n" not in sample:
            # Nobody else ends lines so.
            among = frozenset(name for name in among if name.startswith("mac-"))
    found = chardet.detect_all(
        sample, ignore_threshold=True, compat_names=False, include_encodings=among, no_match_encoding=_OTHERWISE
    )
    names = [name.lower() for one in found if (name := one["encoding"])] or [_OTHERWISE]
    best = next((name for name in names if _has_words(sample, name)), names[0]) if among is not _OTHERS else names[0]
    return _WIDER.get(best, best)


def _has_words(sample: bytes, encoding: str) -> bool:
    """Tells whether what stands inside of words is letters in this encoding."""
    try:
        text = sample.decode(encoding, "replace")
    except LookupError:
        return False
    inside = "".join(_INSIDE_WORD.findall(text))
    # Vietnamese has its tones behind the letters.
    odd = sum(unicodedata.category(sign) not in ("Ll", "Lu", "Mn") and sign not in _FITS_INSIDE for sign in inside)
    return odd <= _MOST_ODD * len(inside)


def _is_latin(sample: bytes) -> bool:
    runs = _HIGH.findall(sample)
    high = sum(map(len, runs))
    if high <= _ALONE * len(runs):
        return True
    in_words = len(_IN_WORDS.findall(sample))
    letters = len(_LETTERS.findall(sample))
    return high <= _FEW_TOGETHER * len(runs) and letters > high and in_words >= _MOSTLY * len(runs)


def sample_of(data: bytes) -> bytes:
    """The lines, or what is near, that have bytes beyond ASCII: some from each quarter of the data."""
    if len(data) <= _SAMPLE_BYTES:
        return data
    parts: list[bytes] = []
    at = 0
    for quarter in range(4):
        at, size, last = max(at, quarter * len(data) // 4), 0, (quarter + 1) * len(data) // 4
        while at < last and data[at : at + _SAMPLE_BYTES].isascii():
            at += _SAMPLE_BYTES
        while size < _SAMPLE_BYTES // 4 and (high := _HIGH.search(data, at, last)) is not None:
            start = max(at, data.rfind(b"\n", max(0, high.start() - _NEAR_BYTES), high.start()) + 1)
            start = start if high.start() - start <= _NEAR_BYTES else high.start()
            end = data.find(b"\n", high.end(), high.end() + _NEAR_BYTES) + 1 or min(len(data), high.end() + _NEAR_BYTES)
            parts.append(data[start : min(end, start + _SAMPLE_BYTES)])
            size += len(parts[-1])
            at = end
    return b"".join(parts)
