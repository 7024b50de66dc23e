"""Blocks cut into units, the smallest stretches that a chunk is made of: sentences, lines, whole tables. Counted in
tokens, and cut finer until each fits. Does no I/O; linear in the text.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from agentgw_daemon.workers.retrieval.reading.blocks import Block
from agentgw_daemon.workers.retrieval.reading.chunking.sentences import sentences, trimmed
from agentgw_daemon.workers.retrieval.reading.values import CountTokens

# The next way of cutting a unit that does not fit.
_Cut = Literal["stanzas", "lines", "words"]
_BATCH_UNITS: Final = 256
# No language has so many to a token. A tokenizer that makes one token of any unknown word, however long, would
# otherwise put a megabyte into a chunk.
CHARS_PER_TOKEN: Final = 16
# Spaces before a unit are counted with it, as newlines are tokens for some embedders; but not a megabyte of them.
_MOST_GAP_CHARS: Final = 64
_STANZA_END: Final = re.compile(r"\n(?:[^\S\n]*\n)+")
_BLANK: Final = " \t"


class Unit:
    """Characters `start` to `end`, neither end blank but for the indentation of code."""

    __slots__ = ("block", "cut", "end", "repeats", "start", "tokens")

    def __init__(self, start: int, end: int, block: Block, cut: _Cut, repeats: bool) -> None:
        self.start: Final = start
        self.end: Final = end
        self.block: Final = block
        self.cut: Final = cut
        self.repeats: Final = repeats
        self.tokens = 0


def counted_units(text: str, blocks: Iterable[Block], count: CountTokens, limit: int) -> Iterator[Unit]:
    """All units in order, each of at most `limit` tokens (or one character)."""
    units = _rough(text, blocks, limit * CHARS_PER_TOKEN)
    last_end = 0
    while batch := list(itertools.islice(units, _BATCH_UNITS)):
        yield from _fitting(text, batch, last_end, count, limit)
        last_end = batch[-1].end


def _fitting(text: str, batch: list[Unit], last_end: int, count: CountTokens, limit: int) -> list[Unit]:
    """The units of a batch, those too long replaced by finer ones, until none is."""
    _count(text, batch, last_end, count)
    while True:
        long = [unit for unit in batch if unit.tokens > limit and unit.end - unit.start > 1]
        if not long:
            return batch
        finer = {id(unit): _finer(text, unit, limit) for unit in long}
        for unit in long:
            _count(text, finer[id(unit)], unit.start, count)
        batch = [made for unit in batch for made in finer.get(id(unit), (unit,))]


def _count(text: str, units: list[Unit], last_end: int, count: CountTokens) -> None:
    texts = []
    for unit in units:
        near = last_end if 0 <= unit.start - last_end <= _MOST_GAP_CHARS else unit.start
        texts.append(text[near : unit.end])
        last_end = unit.end
    for unit, tokens in zip(units, count(texts), strict=True):
        unit.tokens = max(1, tokens)  # so that no chunk has more units than tokens


def _rough(text: str, blocks: Iterable[Block], most_chars: int) -> Iterator[Unit]:
    for block in blocks:
        for start, end, cut in _parts(text, block):
            if end - start <= most_chars:
                yield Unit(start, end, block, cut, block.repeats and block.kind in ("prose", "lines"))
                continue
            yield from _shorter(text, Unit(start, end, block, cut, False), most_chars)


def _parts(text: str, block: Block) -> Iterator[tuple[int, int, _Cut]]:
    match block.kind:
        case "prose":
            for start, end in sentences(text, block.start, block.end):
                yield start, end, "words"
        case "lines":
            for start, end in _lines(text, block.start, block.end):
                yield start, end, "words"
        case "heading" | "whole":
            if (made := trimmed(text, block.start, block.end)) is not None:
                yield _indented(text, made[0], block.start), made[1], "stanzas"


def _shorter(text: str, unit: Unit, most_chars: int) -> Iterator[Unit]:
    """Cuts a unit that is too long to be counted at all, finer and finer until it is not."""
    waiting = [unit]
    while waiting:
        one = waiting.pop()
        if one.end - one.start <= most_chars:
            yield one
        elif one.cut == "words":
            yield from _by_chars(text, one, most_chars)
        else:
            waiting += reversed(_by_structure(text, one))


def _finer(text: str, unit: Unit, limit: int) -> list[Unit]:
    if unit.cut != "words":
        return _by_structure(text, unit)
    # A tenth less than the share, for what is denser than its surroundings; always shorter than before.
    length = unit.end - unit.start
    return list(_by_chars(text, unit, max(1, min(length // 2, length * limit * 9 // (unit.tokens * 10)))))


def _by_structure(text: str, unit: Unit) -> list[Unit]:
    spans = _stanzas(text, unit.start, unit.end) if unit.cut == "stanzas" else _lines(text, unit.start, unit.end)
    next_cut: _Cut = "lines" if unit.cut == "stanzas" else "words"
    return [Unit(start, end, unit.block, next_cut, unit.block.repeats) for start, end in spans]


def _stanzas(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    for found in _STANZA_END.finditer(text, start, end):
        if (made := trimmed(text, at, found.start())) is not None:
            yield _indented(text, made[0], at), made[1]
        at = found.end()
    if (made := trimmed(text, at, end)) is not None:
        yield _indented(text, made[0], at), made[1]


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    while at < end:
        stop = text.find("\n", at, end) + 1 or end
        if (made := trimmed(text, at, stop)) is not None:
            yield _indented(text, made[0], at), made[1]
        at = stop


def _indented(text: str, start: int, floor: int) -> int:
    """`start`, or where its line begins if there is only indentation between."""
    at = start
    while at > floor and text[at - 1] in _BLANK:
        at -= 1
    return at if at == floor or text[at - 1] == "\n" else start


def _by_chars(text: str, unit: Unit, size: int) -> Iterator[Unit]:
    """Stretches of at most `size` characters, ended at a space if there is one in their last quarter."""
    at = unit.start
    while at < unit.end:
        stop = min(at + size, unit.end)
        if stop < unit.end and not text[stop].isspace():
            stop = _space_before(text, at + size - size // 4, stop)
        if (made := trimmed(text, at, stop)) is not None:
            yield Unit(*made, unit.block, "words", unit.block.repeats)
        at = stop


def _space_before(text: str, floor: int, stop: int) -> int:
    """The place behind the last space between the two, or `stop` when there is none."""
    return max(text.rfind(space, floor, stop) for space in " \n\t") + 1 or stop
