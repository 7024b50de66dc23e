"""Encoded data inside of texts: `data:` addresses, Base64, uuencode, BinHex, Ascii85, long numbers; packed programs.

It is left out of the chunks: it says nothing to anybody, and its letters are near to every query. Does no I/O; linear
in the text.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import Block
from agentgw_daemon.workers.retrieval.reading.values import Unreadable

# Shorter ones (a digest, a key of an elliptic curve, a picture of one point) cost a chunk little, and are looked for.
_FEWEST_CHARS: Final = 200
_ADDRESS: Final = re.compile(r"data:(?:[a-z]{1,20}/[\w.+-]{1,80})?(?:;[\w=.+-]{1,80}){0,8},", re.IGNORECASE)
# An address ends at a space or a quotation mark; a drawing that is written out has both inside.
_ADDRESS_REST: Final = re.compile(r"[^\s\"'<>()\\`]*")
_DRAWING: Final = re.compile(r"[^\n]{0,40}(?:<|%3C)svg", re.IGNORECASE)
_DRAWING_END: Final = re.compile("</svg>|%3C/svg%3E", re.IGNORECASE)
# Ends of lines may be written out.
_LONG: Final = re.compile(rf"(?<![A-Za-z0-9+/_=\\-])[A-Za-z0-9+/_=\\-]{{{_FEWEST_CHARS},}}")
# As mail and certificates have it; `M` begins a full line of uuencode.
_BASE64_LINES: Final = re.compile(
    r"^[ \t>]{0,16}(?:[A-Za-z0-9+/_-]{40,200}[ \t\r]{0,9}\n[ \t>]{0,16}){2,}[A-Za-z0-9+/_-]{1,200}={0,2}", re.MULTILINE
)
_UUENCODED: Final = re.compile(r"^(?:M[ -`]{60}\r?\n){2,}(?:[!-L][ -`]{1,60}\r?\n)?", re.MULTILINE)
# BinHex, whose first line begins with a colon, and Ascii85 between its marks.
_IN_BINHEX: Final = r"[!-\-0-689@A-NP-VX-Z\[`a-fh-mp-r]"
_BINHEX: Final = re.compile(
    rf"^:{_IN_BINHEX}{{63}}\r?\n(?:{_IN_BINHEX}{{64}}\r?\n)+(?:{_IN_BINHEX}{{0,63}}:)?", re.MULTILINE
)
_ASCII85: Final = re.compile(r"<~[!-uz\s]+~>")
# Keys and certificates say where they begin and end.
_ARMOUR: Final = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]{1,60}-----")
_MOST_SPACES_IN_ARMOUR: Final = 0.08
# Bytes of a picture or a program in source code.
_BYTES: Final = re.compile(r"(?:0[xX][0-9A-Fa-f]{1,2}[uU]?[,\s]{1,80}){60,}")
# Of bytes as xxd, hexdump and od print them: places, numbers, letters. A table of numbers has no letters in them.
_DUMP_LINE: Final = re.compile(r"^[0-9A-Fa-f]{6,16}:?(?:[ \t]{1,2}[0-9A-Fa-f]{2,4}){8,16}[^\n]{0,40}\n", re.MULTILINE)
_FEWEST_DUMP_LINES: Final = 8
_HEXADECIMAL_LETTER: Final = re.compile("[A-Fa-f]")
_FEWEST_HEXADECIMAL: Final = 0.05
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_NOT_ENCODED: Final = re.compile(r"[^A-Za-z0-9]")
# Shares of the characters. Base64 of anything packed has a sixth of digits and two fifths of each case.
_FEWEST_DIGITS: Final = 0.04
_FEWEST_OF_A_CASE: Final = 0.15
_PACKED_SUFFIXES: Final = (".js", ".mjs", ".cjs", ".css")
_PACKED_FROM_CHARS: Final = 2048
_LONG_LINE_CHARS: Final = 500
_MOST_SPACES: Final = 0.1
_SOURCE_MAP: Final = re.compile(r'\s*(?:\)\]\}\'?\s*)?\{(?:[^{}]{0,1000}[,\s])?"version"\s*:\s*"?3"?\s*,')


@dataclasses.dataclass(slots=True)
class LeftOut:
    """The number and size of stretches that were left out."""

    stretches: int = 0
    chars: int = 0

    def note(self) -> str:
        """The note for a person; empty when nothing was left out."""
        if not self.stretches:
            return ""
        return f"encoded data was left out: {self.stretches} stretches of {self.chars / 1000:,.1f} kB together"


def without_encoded(text: str, blocks: Iterable[Block], left: LeftOut) -> Iterator[Block]:
    """The blocks without encoded data; one that follows on some begins a chunk."""
    apart = False
    for block in blocks:
        at = block.start
        for start, end in _encoded(text, block):
            if _says_something(text, at, start):
                yield dataclasses.replace(block, start=at, end=start, apart=apart)
            left.stretches += 1
            left.chars += end - start
            at, apart = end, True
        if at == block.start:
            yield dataclasses.replace(block, apart=True) if apart else block
            apart = False
        elif _says_something(text, at, block.end):
            yield dataclasses.replace(block, start=at, apart=apart)
            apart = False


def refuse_packed(name: str, text: str) -> None:
    """Refuses code that a program wrote for a program. Raises Unreadable."""
    if name.endswith(".map") and _SOURCE_MAP.match(text) and '"mappings"' in text:
        raise Unreadable("is a source map, which a program made")
    if not name.endswith(_PACKED_SUFFIXES) or len(text) < _PACKED_FROM_CHARS:
        return
    in_long = sum(len(line) for line in text.splitlines() if len(line) > _LONG_LINE_CHARS)
    spaces = sum(map(text.count, " \t\n\r"))
    if in_long > len(text) / 2 and spaces < _MOST_SPACES * len(text):
        raise Unreadable("is packed code (minified), which a program made; take what it was made of")


def _says_something(text: str, start: int, end: int) -> bool:
    """Tells whether more than punctuation is left between two stretches."""
    return any(map(str.isalnum, text[start:end]))


def _encoded(text: str, block: Block) -> Iterator[tuple[int, int]]:
    """The stretches of a block, in order and apart from each other."""
    if block.end - block.start < _FEWEST_CHARS:
        return
    last = block.start
    for start, end in sorted(_found(text, block.start, block.end)):
        if end > last:
            yield max(start, last), end
            last = end


def _found(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    yield from _addresses(text, first, last)
    for pattern in (_LONG, _BASE64_LINES):
        for found in pattern.finditer(text, first, last):
            if len(found[0]) >= _FEWEST_CHARS and _is_encoded(found[0]):
                yield found.span()
    yield from _armoured(text, first, last)
    yield from _dumps(text, first, last)
    for pattern in (_UUENCODED, _BINHEX, _ASCII85, _BYTES):
        for found in pattern.finditer(text, first, last):
            if len(found[0]) >= _FEWEST_CHARS:
                yield found.span()


def _dumps(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    begun = end = lines = 0
    # The last one ends what is before it.
    for start, stop in (*(found.span() for found in _DUMP_LINE.finditer(text, first, last)), (-1, -1)):
        if lines and start == end:
            end, lines = stop, lines + 1
            continue
        letters = len(_HEXADECIMAL_LETTER.findall(text, begun, end)) if lines >= _FEWEST_DUMP_LINES else 0
        if letters and letters >= _FEWEST_HEXADECIMAL * (end - begun):
            yield begun, end
        begun, end, lines = start, stop, 1


def _armoured(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    begun = -1
    for mark in _ARMOUR.finditer(text, first, last):
        if mark[1] == "END" and begun >= 0:
            inside = text[begun : mark.start()]
            spaces = inside.count(" ")
            if len(inside) >= _FEWEST_CHARS and spaces <= _MOST_SPACES_IN_ARMOUR * len(inside):
                yield begun, mark.start()
        begun = mark.end() if mark[1] == "BEGIN" else -1


def _addresses(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    at, ends = first, True
    while (address := _ADDRESS.search(text, at, last)) is not None:
        at = address.end()
        if ends and _DRAWING.match(text, at, last):
            # Without any end from here on, none is looked for again.
            found = _DRAWING_END.search(text, at, last)
            ends = found is not None
        else:
            found = _ADDRESS_REST.match(text, at, last)
        at = found.end() if found is not None else at
        if at - address.start() >= _FEWEST_CHARS:
            yield address.start(), at


def _is_encoded(piece: str) -> bool:
    """Tells whether letters of both cases and digits are mixed as no language mixes them."""
    letters = _NOT_ENCODED.sub("", piece)
    digits = sum(map(str.isdigit, letters))
    if digits < _FEWEST_DIGITS * len(piece):
        return False
    if _HEXADECIMAL.fullmatch(letters):
        return "\n" not in piece
    upper = sum(map(str.isupper, letters))
    return min(upper, len(letters) - digits - upper) >= _FEWEST_OF_A_CASE * len(piece)
