"""JSON and its kin, YAML and Java properties with their escapes as the characters that they stand for. Does no I/O.

Word by word, not through a parser: what is broken, has comments or is a stream of values is read as well, and keys,
order and lines stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agentgw_daemon.workers.retrieval.reading.blocks import Block, Outline, Section
from agentgw_daemon.workers.retrieval.reading.characters import clean
from agentgw_daemon.workers.retrieval.reading.decoding import DecodedText, decode
from agentgw_daemon.workers.retrieval.reading.values import ParserNotes

_ESCAPE: Final = re.compile(
    r"""\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|U([0-9a-fA-F]{8})|(["'\\/bfnrt]))"""
)
_LETTERS: Final = {"n": "\n", "r": "", "t": "\t", "b": "", "f": "\n"}
_NUMBERS_ONLY: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|U([0-9a-fA-F]{8}))")
_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def json_section(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """JSON, JSON5 or lines of JSON as one section."""
    yield _section(data, parser_notes, outline, _ESCAPE)


def escaped_section(data: bytes, parser_notes: ParserNotes, outline: Outline) -> Iterator[Section]:
    """A text in which only characters by their numbers are escapes, as one section."""
    yield _section(data, parser_notes, outline, _NUMBERS_ONLY)


def _section(data: bytes, parser_notes: ParserNotes, outline: Outline, escape: re.Pattern[str]) -> Section:
    page = decode(data)
    if page.note:
        parser_notes.notes.append(page.note)
    text = clean(_PAIR.sub(_joined, escape.sub(_character, page.text)))
    return Section(DecodedText(text), iter((Block("lines", 0, len(text), outline.path),)))


def _character(found: re.Match[str]) -> str:
    *numbers, letter = found.groups() if found.re is _ESCAPE else (*found.groups(), None)
    if letter is not None:
        return _LETTERS.get(letter, letter)
    number = int(next(filter(None, numbers)), 16)
    # What moves a cursor, or is none of Unicode's, stays written out.
    return chr(number) if 32 <= number < 0x110000 and not 127 <= number < 160 else _LINE_BREAKS.get(number, found[0])


_LINE_BREAKS: Final = {9: "\t", 10: "\n", 13: ""}


def _joined(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")
