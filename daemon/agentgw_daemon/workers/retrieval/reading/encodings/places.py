"""CharacterPlaces of characters in bytes, for text that does not encode to the very bytes it came from. Does no I/O.

Each gives, for every character and for the end, the bytes before it.
"""

from __future__ import annotations

import array
import codecs


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
        """All of them, and the end."""
        self._made.append(self._at)
        return self._made


def stepped(data: bytes, encoding: str) -> tuple[str, array.array[int]]:
    """A text and its places, decoded byte by byte: escapes and shifts belong to the character after them."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    parts, places, begin = [], array.array("I"), 0
    for at in range(len(data)):
        if made := decoder.decode(data[at : at + 1]):
            parts.append(made)
            places.extend(min(begin + number, at) for number in range(len(made)))
            begin = at + 1
    if made := decoder.decode(b"", final=True):
        parts.append(made)
        places.extend(min(begin + number, len(data)) for number in range(len(made)))
    if places:
        places[0] = 0
    places.append(len(data))
    return "".join(parts), places
