"""Units packed into chunks. Does no I/O; linear in the text.

A chunk begins where a heading does when what came before is enough for a chunk, and keeps headings with what follows
them. A chunk that ends because it is full is followed by one that repeats its last sentences.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from agentgw_daemon.workers.protocol.retrieval import DocumentChunk
from agentgw_daemon.workers.retrieval.reading.blocks import HeadingPath, Section
from agentgw_daemon.workers.retrieval.reading.characters import clean
from agentgw_daemon.workers.retrieval.reading.chunking.sentences import trimmed
from agentgw_daemon.workers.retrieval.reading.chunking.units import CHARS_PER_TOKEN, Unit, counted_units
from agentgw_daemon.workers.retrieval.reading.decoding import DecodedText
from agentgw_daemon.workers.retrieval.reading.values import CountTokens, ReadingLimits, Unreadable

# Of a chunk: a section with less (a heading and a sentence) shares its chunk with the next.
_ENOUGH: Final = 1 / 8
# A chunk of several sections stands under the titles that this much of it has in common.
_MOST_OF_IT: Final = 0.6
_BATCH_CHUNKS: Final = 32
# Some forty tokens: with 200 of text they fit into what all-MiniLM-L6-v2 looks at, as both are embedded together.
_MAX_PATH_CHARS: Final = 160

_Span = tuple[int, int, HeadingPath, int]


def cut(sections: Iterable[Section], limits: ReadingLimits, count: CountTokens) -> Iterator[DocumentChunk]:
    """The chunks of a document. Raises Unreadable when they are too many."""

    def count_clean(texts: Sequence[str]) -> list[int]:
        return count([clean(text) for text in texts])

    made, line, byte = 0, 1, -1
    for section in sections:
        place = _Place(section.text, line, section.text.offset if byte < 0 else byte)
        for start, end, path, tokens in _spans(section, limits, count_clean):
            made += 1
            if made > limits.max_chunks:
                raise Unreadable(f"has more than the {limits.max_chunks:,} chunks that one document may have")
            yield place.piece(start, end, path, tokens)
        # Sections stand in the extracted text with a blank line between.
        line, byte = place.after(len(section.text.text))
        line, byte = line + 2, byte + 2


class _Place:
    """Lines and bytes of places that are asked for in order, each counted on from the one before."""

    def __init__(self, text: DecodedText, line: int, byte: int) -> None:
        self._text: Final = text
        self._at, self._line, self._byte = 0, line, byte

    def after(self, at: int) -> tuple[int, int]:
        """The line and the byte of this place, and the way to it made."""
        self._line += self._text.text.count("\n", self._at, at)
        self._byte += self._text.size(self._at, at)
        self._at = at
        return self._line, self._byte

    def piece(self, start: int, end: int, path: HeadingPath, tokens: int) -> DocumentChunk:
        """The chunk between the two places."""
        line, byte = self.after(start)
        return DocumentChunk(
            text=clean(self._text.text[start:end]),
            title_path=_shown(path),
            first_line=line,
            last_line=line + self._text.text.count("\n", start, end),
            first_byte=byte,
            last_byte=byte + self._text.size(start, end),
            tokens=tokens,
        )


def _shown(path: HeadingPath) -> str:
    """The titles in one line; of many, the first and the last."""
    shown = " > ".join(path)
    while len(shown) > _MAX_PATH_CHARS and len(path) > 2:
        middle = len(path) // 2
        path = path[:middle] + path[middle + 1 :]
        shown = " > ".join((*path[:middle], "…", *path[middle:]))
    return shown


def _spans(section: Section, limits: ReadingLimits, count: CountTokens) -> Iterator[_Span]:
    """The chunks, each counted whole: of a text the parts' tokens add up to about its own."""
    text = section.text.text
    units = counted_units(text, section.blocks, count, limits.chunk_tokens)
    chunks = _packed(units, limits)
    last_start = last_end = -1
    while batch := list(itertools.islice(chunks, _BATCH_CHUNKS)):
        counts = count([text[chunk[0].start : chunk[-1].end] for chunk in batch])
        for chunk, tokens in zip(batch, counts, strict=True):
            if tokens <= limits.chunk_tokens and chunk[0].start > last_start:
                made: Iterable[_Span] = [(chunk[0].start, chunk[-1].end, _path(chunk), tokens)]
            else:
                # Where the last chunk had to be halved, this one may repeat all of its second half.
                made = _halved(text, [unit for unit in chunk if unit.start > last_start], limits.chunk_tokens, count)
            for span in made:
                # The first half of a halved chunk may be nothing but what it repeats.
                if span[1] > last_end:
                    yield span
                    last_start, last_end = span[:2]


def _halved(text: str, chunk: list[Unit], limit: int, count: CountTokens) -> Iterator[_Span]:
    """A chunk whose parts have fewer tokens than the whole, cut until it has not."""
    waiting = [(chunk[0].start, chunk[-1].end, chunk)] if chunk else []
    while waiting:
        start, end, units = waiting.pop()
        [tokens] = count([text[start:end]])
        if tokens <= limit or end - start == 1:
            yield start, end, _path(units), tokens
        elif len(units) > 1:
            left, right = units[: len(units) // 2], units[len(units) // 2 :]
            waiting += [(right[0].start, end, right), (start, left[-1].end, left)]
        else:
            middle = (start + end) // 2
            halves = (trimmed(text, middle, end), trimmed(text, start, middle))
            waiting += [(*half, units) for half in halves if half is not None]


def _packed(units: Iterable[Unit], limits: ReadingLimits) -> Iterator[list[Unit]]:
    chunk: list[Unit] = []
    tokens = 0
    for unit in units:
        apart = unit.block.apart and bool(chunk) and chunk[-1].block is not unit.block
        if apart or (chunk and _begins_section(chunk, unit) and tokens >= _ENOUGH * limits.chunk_tokens):
            yield chunk
            chunk, tokens = [], 0
        elif chunk and not _fits(chunk[0].start, tokens, unit, limits):
            full, chunk = _without_last_headings(chunk)
            yield full
            tokens = _sum(chunk)
            if chunk and not _fits(chunk[0].start, tokens, unit, limits):
                yield chunk
                chunk = []
            elif not chunk:
                chunk = _repeated(full, unit, limits)
            tokens = _sum(chunk)
        chunk.append(unit)
        tokens += unit.tokens
    if chunk:
        yield chunk


def _sum(chunk: list[Unit]) -> int:
    return sum(unit.tokens for unit in chunk)


def _fits(start: int, tokens: int, unit: Unit, limits: ReadingLimits) -> bool:
    """Tells whether a chunk of `tokens` from `start` has room for the unit."""
    chars = unit.end - start
    return tokens + unit.tokens <= limits.chunk_tokens and chars <= limits.chunk_tokens * CHARS_PER_TOKEN


def _begins_section(chunk: list[Unit], unit: Unit) -> bool:
    """Tells whether the unit stands below other titles than the last one, and that is not just the heading above
    it.
    """
    last = chunk[-1].block
    return unit.block.path != last.path and last.kind != "heading"


def _without_last_headings(chunk: list[Unit]) -> tuple[list[Unit], list[Unit]]:
    """A full chunk, and the headings at its end that belong to the next; headings alone stay."""
    at = len(chunk)
    while at and chunk[at - 1].block.kind == "heading":
        at -= 1
    return (chunk[:at], chunk[at:]) if at else (chunk, [])


def _repeated(full: list[Unit], unit: Unit, limits: ReadingLimits) -> list[Unit]:
    """The last units of a full chunk with which the next begins, never all of it."""
    at, tokens = len(full), 0
    while at > 1 and full[at - 1].repeats and full[at - 1].block.path == unit.block.path:
        tokens += full[at - 1].tokens
        if tokens > limits.overlap_tokens or not _fits(full[at - 1].start, tokens, unit, limits):
            break
        at -= 1
    return full[at:]


def _path(chunk: list[Unit]) -> HeadingPath:
    """The titles that most of the chunk's text stands below; of headings alone, the headings."""
    body = [unit for unit in chunk if unit.block.kind != "heading"]
    shares = [(unit.block.path, unit.tokens) for unit in body or chunk]
    if all(path == shares[0][0] for path, _ in shares):
        return shares[0][0]
    whole = sum(share for _, share in shares)
    made: HeadingPath = ()
    while True:
        below: collections.Counter[str] = collections.Counter()
        for path, share in shares:
            if len(path) > len(made) and path[: len(made)] == made:
                below[path[len(made)]] += share
        if not below:
            return made
        [(title, share)] = below.most_common(1)
        if share < _MOST_OF_IT * whole:
            return made
        made = (*made, title)
