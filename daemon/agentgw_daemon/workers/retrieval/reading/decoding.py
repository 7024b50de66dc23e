"""Bytes to text, such that every character's place in the bytes is known. Does no I/O.

A mark counts, then UTF-8 where the bytes are that, then what the document declares, then the likeliest by the letters.
Text in which a stretch does not encode to the bytes it came from carries the places of its characters.
"""

from __future__ import annotations

import codecs
import dataclasses
import re
from collections.abc import Sequence
from typing import Final, Protocol

from agentgw_daemon.workers.retrieval.reading.encodings import wide
from agentgw_daemon.workers.retrieval.reading.encodings.declared import EBCDIC
from agentgw_daemon.workers.retrieval.reading.encodings.places import CharacterPlaces, stepped
from agentgw_daemon.workers.retrieval.reading.values import Unreadable

# The longer marks first: UTF-32's begins with UTF-16's.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE: Final = ("utf-16", "utf-32")
_SAMPLE_BYTES: Final = 64 << 10
# In the sample. Text has none but for damage, compressed data every tenth byte.
_MOST_CONTROLS: Final = 0.02
_CONTROLS: Final = bytes(set(range(32)) - set(b"\a\t\n\v\f\r\b\x1b\x1a")) + b"\x7f"
# As a crash leaves it in a log.
_HOLE: Final = re.compile(rb"\0{8,}")
_HOLE_IN_TEXT: Final = re.compile("\0{8,}")
_FEWEST_BETWEEN_ZEROS: Final = 5
_BROKEN: Final = re.compile("[\udc80-\udcff]")
_HIGH: Final = re.compile(rb"[\x80-\xff]+")
# UTF-8 in which a few bytes are broken is still UTF-8; so is what was declared.
_MOST_BROKEN: Final = 0.5
_FEW: Final = 3
# Of another encoding, one in so many letters may happen to be UTF-8.
_NOTHING_OF_UTF8: Final = 10
_FIRST_OF_SEVERAL: Final = 0xC2
_MOST_MIXED_BYTES: Final = 8 << 20
_LOOKED_AT: Final = 1000
_MOST_BROKEN_DECLARED: Final = 0.1
# Escapes that no terminal knows, and Japanese or Korean mail has.
_SHIFTED: Final = re.compile(rb"\x1b\$[@B]|\x1b\$\)C")
# One character may be two of Unicode, or what came before decides what a byte is.
_STEPPED: Final = frozenset({"iso2022_jp_ext", "iso2022_jp", "iso2022_jp_2", "iso2022_kr", "hz", "utf-7"})
_SHIFTS: Final = (b"\x1b$", b"\x1b(", b"~{", b"\x0e")
_PAIRED: Final = re.compile("[\u0304\u030c]")
_CHINESE: Final = frozenset({"gb18030", "gbk", "big5hkscs", "cp932", "euc_jp", "cp949"})
_SEVERAL_BYTES: Final = _CHINESE | {"johab"}
_ASCII_WORDS: Final = re.compile(rb"[A-Za-z ]")


class Measure(Protocol):
    """Places of a text that is not the file's own letter by letter."""

    def size(self, start: int, end: int) -> int:
        """The number of the file's bytes that these characters are."""


@dataclasses.dataclass(frozen=True, slots=True)
class DecodedText:
    """A text, and how it lies in the file: behind `offset` bytes, in `encoding`, or at `places` where it has some.

    Broken bytes are lone surrogates. `spliced` knows the places where stretches were replaced.
    """

    text: str
    encoding: str = "utf-8"
    offset: int = 0
    note: str = ""
    places: Sequence[int] | None = None
    spliced: Measure | None = None

    def size(self, start: int, end: int) -> int:
        """The number of the file's bytes that these characters are."""
        if self.spliced is not None:
            return self.spliced.size(start, end)
        if self.places is not None:
            return self.places[min(end, len(self.text))] - self.places[min(start, len(self.text))]
        piece = self.text[start:end]
        if self.encoding == "utf-8":
            return len(piece) if piece.isascii() else len(piece.encode("utf-8", "surrogateescape"))
        return len(piece.encode(self.encoding, _errors(self.encoding)))


def decode(data: bytes, declared: str = "") -> DecodedText:
    """The text, in the encoding that is `declared` under some name if it can be. Raises Unreadable for what is none."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _marked(data, len(mark), encoding)
    codec = _codec(declared)
    if _is_shifted(data, codec):
        return _shifted(data, codec)
    if data.startswith(EBCDIC) and codec:
        return _read(data, codec, "")
    text = _as_utf8(data)
    if (text is None or "\0" in _HOLE_IN_TEXT.sub("", text[:_SAMPLE_BYTES])) and (found := wide.unmarked(data)):
        note = f"read as {found[:6].upper()}, which it does not say it is" if not codec.startswith("utf-") else ""
        return _wide(data, 0, found, note)
    if codec.startswith(_WIDE) and b"\0" in data and (said := _declared(data, codec, declared)) is not None:
        return said
    sample = _HOLE.sub(b"", data[:_SAMPLE_BYTES])
    if text is not None and sample.count(0) * _FEWEST_BETWEEN_ZEROS <= len(sample):
        # Between names in a list, as programs hand them to each other.
        sample = sample.replace(b"\0", b"")
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if controls > _MOST_CONTROLS * len(sample) or (data and not sample and b"\0" in data):
        raise Unreadable("is binary data, not text")
    if text is None:
        return _not_utf8(data, codec, declared)
    if codec in ("", "utf-8", "ascii") or text.isascii() or codec.startswith("utf-"):
        return DecodedText(text)
    if codec in _CHINESE and (chinese := _rather_chinese(data, text, codec)) is not None:
        return chinese
    return DecodedText(text, note=f"says that it is in {declared}, and is in UTF-8")


def _is_shifted(data: bytes, codec: str) -> bool:
    """Tells whether escapes say what letters follow: all of these encodings have seven bits, whatever is declared."""
    if codec not in _STEPPED:
        return b"\x1b$" in data and _SHIFTED.search(data) is not None
    return data.isascii() or (codec != "utf-7" and any(mark in data for mark in _SHIFTS))


def _errors(encoding: str) -> str:
    return "surrogatepass" if encoding.startswith(_WIDE) else "surrogateescape"


def _codec(declared: str) -> str:
    if not declared:
        return ""
    # Most documents declare nothing, or UTF-8.
    from agentgw_daemon.workers.retrieval.reading.encodings.labels import codec_named

    return codec_named(declared)


def _as_utf8(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _marked(data: bytes, offset: int, encoding: str) -> DecodedText:
    body = data[offset:]
    if encoding.startswith("utf-16"):
        return _wide(data, offset, encoding, "")
    try:
        return DecodedText(body.decode(encoding, _errors(encoding)), encoding, offset)
    except UnicodeDecodeError as error:
        if data.startswith(codecs.BOM_UTF16_LE):
            return _wide(data, len(codecs.BOM_UTF16_LE), "utf-16-le", "")
        raise Unreadable("begins as UTF-32 text, but is none") from error


def _wide(data: bytes, offset: int, encoding: str, note: str) -> DecodedText:
    """Text of two or four bytes a letter, put in step again after stray bytes."""
    body = data[offset:]
    try:
        return DecodedText(body.decode(encoding), encoding, offset, note)
    except UnicodeDecodeError as error:
        if encoding.startswith("utf-32"):
            raise Unreadable("begins as UTF-32 text, but is none") from error
    strays = wide.strays(body, encoding)
    parts, at = [], 0
    for stray in (*strays, len(body)):
        parts.append(body[at:stray].decode(encoding, "surrogatepass"))
        at = stray + 1
    text = "\ufffd".join(parts)
    broken = len(re.findall("[\ud800-\udfff]", text))
    if broken > len(text) * _MOST_BROKEN_DECLARED and broken > 1:
        raise Unreadable("begins as UTF-16 text, but is none")
    places = CharacterPlaces()
    for number, part in enumerate(parts):
        if number:
            places.skip()
        places.encoded(part, encoding)
    said = f"{len(strays) + broken} stray bytes of UTF-16 were replaced"
    return DecodedText(text, encoding, offset, f"{note}; {said}" if note else said, places.taken())


def _shifted(data: bytes, codec: str) -> DecodedText:
    """Text in which escapes say what letters follow."""
    if codec not in _STEPPED:
        codec = "iso2022_kr" if b"\x1b$)C" in data else "iso2022_jp_ext"
    text, places = stepped(data, codec)
    return DecodedText(text, codec, places=places)


def _read(data: bytes, codec: str, note: str) -> DecodedText:
    """The text by this codec of bytes."""
    text = data.decode(codec, "surrogateescape")
    if codec not in _STEPPED and not (codec == "big5hkscs" and _PAIRED.search(text)):
        try:
            if len(text.encode(codec, "surrogateescape")) == len(data):
                return DecodedText(text, codec, 0, note)
        except (UnicodeError, ValueError):
            pass
    text, places = stepped(data, codec)
    return DecodedText(text, codec, 0, note, places)


def _rather_chinese(data: bytes, text: str, codec: str) -> DecodedText | None:
    """A few Chinese, Japanese or Korean letters that happen to be UTF-8 of other letters, too."""
    high = [sign for sign in text if not sign.isascii()]
    if len(high) > _FEW or max(high) > "\u07ff":
        return None
    try:
        found = _read(data, codec, "")
    except (UnicodeError, ValueError):
        return None
    return found if all(sign >= "\u3000" for sign in found.text if not sign.isascii()) else None


def _not_utf8(data: bytes, codec: str, declared: str) -> DecodedText:
    says = f"says that it is in {declared}, and is not; " if codec else ""
    if codec and codec != "utf-8" and codec not in _STEPPED and (found := _declared(data, codec, declared)) is not None:
        return found
    # With its tables of letters, which most folders do not need.
    from agentgw_daemon.workers.retrieval.reading.encodings.guessing import guessed, sample_of

    if (whole := _without_half_a_letter(data)) is not None:
        return whole
    broken, others = _of_utf8(sample_of(data))
    if others * _NOTHING_OF_UTF8 > broken or not broken:
        broken, others = _of_utf8(data)
        if broken > _FEW and others and (mixed := _by_lines(data)) is not None:
            return mixed
        said = codec == "utf-8" and broken <= others
        if said or broken <= others * _MOST_BROKEN or broken <= _FEW <= others:
            text = data.decode("utf-8", "surrogateescape")
            return DecodedText(text, note=f"{broken} bytes are no UTF-8 and were replaced")
    encoding = guessed(data)
    found = _read(data, encoding, f"{says}read as {encoding.upper()}, because it is not UTF-8")
    if len(_BROKEN.findall(found.text)) <= max(_FEW, _MOST_BROKEN_DECLARED * len(found.text)):
        return found
    return _read(data, "latin-1", f"{says}read as LATIN-1, because it is not UTF-8")


def _without_half_a_letter(data: bytes) -> DecodedText | None:
    """UTF-8 that was cut off inside of its last letter; None for other text."""
    for size in range(1, min(4, len(data))):
        text = _as_utf8(data[:-size])
        if text is not None:
            if text.isascii() or data[-size] < _FIRST_OF_SEVERAL:
                return None
            return DecodedText(
                data.decode("utf-8", "surrogateescape"), note=f"{size} bytes are no UTF-8 and were replaced"
            )
    return None


def _of_utf8(data: bytes) -> tuple[int, int]:
    """The bytes that are none, and the characters beyond ASCII."""
    text = data.decode("utf-8", "surrogateescape")
    broken = len(_BROKEN.findall(text))
    return broken, len(text) - broken - _ascii(data)


def _declared(data: bytes, codec: str, declared: str) -> DecodedText | None:
    """The text in its declared encoding; None if it cannot be in that."""
    if codec.startswith(_WIDE):
        order = "utf-16-le" if codec == "utf-16" else codec
        if len(_ASCII_WORDS.findall(data[:_SAMPLE_BYTES])) * 2 > len(data[:_SAMPLE_BYTES]):
            return None
        try:
            return DecodedText(data.decode(order), order)
        except (UnicodeError, LookupError):
            return None
    try:
        found = _read(data, codec, "")
    except (UnicodeError, ValueError, LookupError, AssertionError):
        # Codecs of Python's that are none of letters raise what they like.
        return None
    broken = len(_BROKEN.findall(found.text))
    if not broken:
        return found
    if broken > max(_FEW, _MOST_BROKEN_DECLARED * sum(map(len, _HIGH.findall(data)))) or codec == "ascii":
        return None
    return dataclasses.replace(found, note=f"{broken} bytes are not in {declared} and were replaced")


def _by_lines(data: bytes) -> DecodedText | None:
    """Text of which some lines are UTF-8 and the others in one older encoding; None if it is not so."""
    from agentgw_daemon.workers.retrieval.reading.encodings.guessing import guessed

    if len(data) > _MOST_MIXED_BYTES:
        return None
    lines = data.splitlines(keepends=True)
    read = [_as_utf8(line) for line in lines]
    old = [line for line, text in zip(lines, read, strict=True) if text is None]
    new = sum(1 for text in read if text is not None and not text.isascii())
    if new < 1 or new * 4 < len(old):
        return None
    if any(_of_utf8(line)[1] for line in old[:_LOOKED_AT]):
        return None
    encoding = guessed(b"".join(old))
    if encoding in _SEVERAL_BYTES:
        return None
    parts: list[str] = []
    places = CharacterPlaces()
    for line, text in zip(lines, read, strict=True):
        parts.append(line.decode(encoding, "surrogateescape") if text is None else text)
        if text is None or text.isascii():
            places.even(len(line), 1)
        else:
            places.encoded(text, "utf-8")
    note = f"{len(old)} lines are no UTF-8 and were read as {encoding.upper()}"
    return DecodedText("".join(parts), "utf-8", 0, note, places.taken())


def _ascii(data: bytes) -> int:
    return len(data) - sum(map(len, _HIGH.findall(data)))
