"""Places of characters in bytes, for text that does not encode to the very bytes it came from. Does no I/O.

Each gives, for every character and for the end, the bytes before it.
"""

from __future__ import annotations

import array
import codecs
import re
from typing import Final

# An escape, or what stands between escapes, shifts and the ends of lines, which may end a shift. Long enough to be
# worth it, and short enough to be tried in vain.
_RUN: Final = re.compile(rb"\x1b[ -/]{1,3}[0-~]|[^\x1b\x0e\x0f\r\n]{2,4096}")
_ESCAPE: Final = 0x1B
# Second letters of the characters of JIS X 0213 that Unicode has as two.
_PAIRED: Final = re.compile("[\u0300\u0301\u02e5\u02e9\u309a]")
# Name of the error handler below.
_DAMAGED: Final = "agentgw.damaged"


def _damaged(error: UnicodeError) -> tuple[str, int]:
    """Half a character, or bytes that are none: "surrogateescape" has no letter for bytes of ASCII, and raises."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + byte) if byte > 0x7F else "\ufffd" for byte in bad), error.end


codecs.register_error(_DAMAGED, _damaged)


class CharacterPlaces:
    """The places of characters that are added stretch by stretch."""

    def __init__(self) -> None:
        self._made: array.array[int] = array.array("I")
        self._at = 0

    def skip(self) -> None:
        """One byte that is one character."""
        self.even(1, 1)

    def even(self, characters: int, size: int) -> None:
        """Characters of one size."""
        self._made.extend(range(self._at, self._at + characters * size, size))
        self._at += characters * size

    def encoded(self, text: str, encoding: str) -> None:
        """Characters in an encoding of Unicode."""
        if encoding == "utf-8":
            sizes = [len(sign.encode("utf-8", "surrogatepass")) for sign in text]
        elif text and max(text) > "\uffff":
            sizes = [4 if sign > "\uffff" else 2 for sign in text]
        else:
            self.even(len(text), 2)
            return
        for size in sizes:
            self._made.append(self._at)
            self._at += size

    def taken(self) -> array.array[int]:
        """The places that were taken, and the end."""
        self._made.append(self._at)
        return self._made


def stepped(data: bytes, encoding: str) -> tuple[str, array.array[int]]:
    """A text and its places, decoded byte by byte: escapes and shifts belong to the character after them.

    Of ISO-2022, what stands between escapes is decoded at once where all of its characters turn out to be of one size.
    """
    decoder = codecs.getincrementaldecoder(encoding)(_DAMAGED)
    parts, places, begin = [], array.array("I"), 0
    several, at = encoding.startswith("iso2022"), 0
    while at < len(data):
        run = _RUN.match(data, at) if several else None
        if run is not None and (made := _of_one_size(decoder, run[0])) is not None:
            if made:
                size = len(run[0]) // len(made)
                parts.append(made)
                places.append(begin)
                places.extend(range(at + size, run.end(), size))
                begin = run.end()
            at = run.end()
            continue
        # One more try for each run, not for each of its bytes.
        stop = run.end() if run is not None else at + 1
        for here in range(at, stop):
            if made := _next(decoder, data[here : here + 1]):
                parts.append(made)
                places.extend(min(begin + number, here) for number in range(len(made)))
                begin = here + 1
        at = stop
    if made := _next(decoder, b"", final=True):
        parts.append(made)
        places.extend(min(begin + number, len(data)) for number in range(len(made)))
    if places:
        places[0] = 0
    places.append(len(data))
    return "".join(parts), places


def _next(decoder: codecs.IncrementalDecoder, data: bytes, *, final: bool = False) -> str:
    """The text of the next byte; one character for all that waits where no escape is so long as what begins as one."""
    try:
        return decoder.decode(data, final)
    except UnicodeError:
        decoder.reset()
        return "\ufffd"


def _of_one_size(decoder: codecs.IncrementalDecoder, run: bytes) -> str | None:
    """The text of an escape, which has none, or of a run whose characters have one byte each, or two each.

    None, and nothing decoded, for another.
    """
    before = decoder.getstate()
    # The handler of damage would give as many letters for broken bytes as a run of whole ones has.
    decoder.errors = "strict"
    try:
        made = decoder.decode(run)
    except UnicodeError:
        made = None
    finally:
        decoder.errors = _DAMAGED
    # Two letters of one character would pass for one byte each.
    if made is not None and _PAIRED.search(made):
        made = None
    sizes = (0,) if run[0] == _ESCAPE else (len(run), len(run) / 2)
    if made is not None and not before[0] and not decoder.getstate()[0] and len(made) in sizes:
        return made
    decoder.setstate(before)
    return None
