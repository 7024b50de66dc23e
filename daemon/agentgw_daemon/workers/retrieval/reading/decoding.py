"""Bytes to text, such that every character's place in the bytes is known. Does no I/O.

Only encodings in which a stretch of text encodes to the bytes it came from are used: without that no chunk could say
which bytes it is.
"""

from __future__ import annotations

import codecs
import dataclasses
import re
import unicodedata
from typing import Final

import charset_normalizer

from agentgw_daemon.workers.retrieval.reading.values import Unreadable

# The longer marks first: UTF-32's begins with UTF-16's.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Encodings of old text that have no state and that people still have files in.
_OLD: Final = [
    "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r", "cp437", "cp850", "cp852",
    "cp866", "mac_roman", "cp932", "euc_jp", "gb18030", "big5", "euc_kr", "cp949", "tis_620",
]  # fmt: skip
_SAMPLE_BYTES: Final = 64 << 10
# In the sample. Text has none but for damage (a log after a crash), compressed data every tenth byte.
_MOST_CONTROLS: Final = 0.02
_CONTROLS: Final = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1b\x1a")) + b"\x7f"
# UTF-8 in which a few bytes are broken is still UTF-8.
_MOST_BROKEN: Final = 0.02
_BROKEN: Final = re.compile("[\udc80-\udcff]")
_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]+")
# A letter, then what Windows-1252 has for a symbol, then a letter: written in another encoding.
_INSIDE_WORD: Final = re.compile(r"[A-Za-z]([^\x00-\x7f])(?=[A-Za-z])")
_FITS_INSIDE: Final = frozenset("’‘´–—·\xad")


@dataclasses.dataclass(frozen=True, slots=True)
class DecodedText:
    """A text, and how it lies in the file: behind `offset` bytes, in `encoding`. Broken bytes are lone surrogates."""

    text: str
    encoding: str = "utf-8"
    offset: int = 0
    note: str = ""

    def size(self, start: int, end: int) -> int:
        """The number of the file's bytes that these characters are."""
        piece = self.text[start:end]
        if self.encoding == "utf-8":
            return len(piece) if piece.isascii() else len(piece.encode("utf-8", "surrogateescape"))
        return len(piece.encode(self.encoding, "surrogatepass"))


def decode(data: bytes, declared: str = "") -> DecodedText:
    """The text; what is not UTF-8 is in the `declared` encoding if it can be. Raises Unreadable for what is no text."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _marked(data, len(mark), encoding)
    if (unmarked := _unmarked_utf16(data)) is not None:
        return unmarked
    sample = data[:_SAMPLE_BYTES]
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if controls > _MOST_CONTROLS * len(sample):
        raise Unreadable("is binary data, not text")
    try:
        return DecodedText(data.decode())
    except UnicodeDecodeError:
        return _not_utf8(data, declared)


def _marked(data: bytes, offset: int, encoding: str) -> DecodedText:
    errors = "surrogateescape" if encoding == "utf-8" else "strict"
    try:
        return DecodedText(data[offset:].decode(encoding, errors), encoding, offset)
    except UnicodeDecodeError as error:
        raise Unreadable(f"begins as {encoding[:6].upper()} text, but is none") from error


def _unmarked_utf16(data: bytes) -> DecodedText | None:
    """Text from some Windows programs: every second byte is zero in what is mostly Latin."""
    sample = data[:_SAMPLE_BYTES]
    if len(data) < 4 or len(data) % 2 or b"\0" not in sample:
        return None
    for encoding, zeros, letters in (
        ("utf-16-le", sample[1::2], sample[::2]),
        ("utf-16-be", sample[::2], sample[1::2]),
    ):
        if zeros.count(0) >= 0.7 * len(zeros) and letters.count(0) == 0:
            try:
                return DecodedText(data.decode(encoding), encoding, 0, "read as UTF-16, which it does not say it is")
            except UnicodeDecodeError:
                return None
    return None


def _not_utf8(data: bytes, declared: str) -> DecodedText:
    if declared and _goes_both_ways(data, declared):
        return DecodedText(data.decode(declared), declared)
    text = data.decode("utf-8", "surrogateescape")
    broken = len(_BROKEN.findall(text))
    others = len(text) - broken - _ascii(data)
    if broken <= others * _MOST_BROKEN or broken <= 3 <= others:
        return DecodedText(text, note=f"{broken} bytes are no UTF-8 and were replaced")
    encoding = _old_encoding(data)
    return DecodedText(data.decode(encoding), encoding, note=f"read as {encoding.upper()}, because it is not UTF-8")


def _ascii(data: bytes) -> int:
    return len(data) - sum(map(len, _NOT_ASCII.findall(data)))


def _old_encoding(data: bytes) -> str:
    """The likeliest one in which the text encodes to the very bytes again; Latin-1 always does."""
    sample = data[:_SAMPLE_BYTES]
    if _is_western(sample) and _goes_both_ways(data, "cp1252"):
        return "cp1252"
    found = charset_normalizer.from_bytes(sample, cp_isolation=_OLD).best()
    if found is not None and _goes_both_ways(data, found.encoding):
        return found.encoding
    return "latin-1"


def _is_western(sample: bytes) -> bool:
    """Tells whether letters beyond ASCII stand alone among ASCII ones, as in western European words in Windows-1252.

    What charset-normalizer knows least: its first guess for a short German text is another encoding's.
    """
    runs = _NOT_ASCII.findall(sample)
    if sum(map(len, runs)) > 1.6 * len(runs):
        return False
    text = sample.decode("cp1252", "replace")
    inside = [match[1] for match in _INSIDE_WORD.finditer(text)]
    return all(unicodedata.category(letter)[0] == "L" or letter in _FITS_INSIDE for letter in inside)


def _goes_both_ways(data: bytes, encoding: str) -> bool:
    try:
        return data.decode(encoding).encode(encoding) == data
    except (UnicodeError, LookupError, ValueError, AssertionError):
        # Of a name that a document gives: unknown, or a codec of Python's that makes no text.
        return False
