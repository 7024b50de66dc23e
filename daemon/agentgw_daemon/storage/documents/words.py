"""Chunks by their words: BM25, in milliseconds also where there are 100,000 of them.

FTS5's own `bm25()` looks at every chunk with any of the words, some microseconds each, and each of its words at least
once more: a common word would take half a second. So FTS5 gives candidates: all chunks with the rarer words, as many
words as together have no more than `_LOOKED_AT` matches, and of the common words the first chunks that have them all.
The best of these are scored here, by all words, from their texts; without common words there is no need to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from agentgw.protocol.schema import record
from agentgw_daemon.storage.documents.folding import Term, folded
from agentgw_daemon.storage.documents.visible import Allowed

if TYPE_CHECKING:
    from agentgw_daemon.storage.file.library import sqlite_utils

# Matches that `bm25()` looks at: some 10 ms.
_LOOKED_AT: Final = 3_000
# A word is counted up to here; where the last match lies tells how many there are beyond it.
_COUNTED: Final = 2_000
# Candidates of either kind that are scored from their texts, some 20 µs each.
_SCORED: Final = 80
# The parameters that FTS5 and everybody else has.
_K1: Final = 1.2
_B: Final = 0.75


@record
class WordMatch:
    """A chunk and its BM25."""

    n: int
    score: float


class _Word(NamedTuple):
    matches: int
    term: Term


class _Spread(NamedTuple):
    """Spread of the numbers of chunks, and how many of them are in use."""

    first: int
    width: int
    total: int


def find(db: sqlite_utils.Database, terms: Sequence[Term], most: int, allowed: Allowed | None) -> tuple[WordMatch, ...]:
    """At most so many chunks with any of the terms, the best first: fewer only when there are fewer.

    Only `allowed` ones; None allows all.
    """
    # Three questions: asked for two ends at once, SQLite looks at everything between them.
    first = db.execute("SELECT min(n) FROM chunks").fetchone()[0]
    if first is None:
        return ()
    last = db.execute("SELECT max(n) FROM chunks").fetchone()[0]
    total = db.execute("SELECT sum(chunks) FROM contents").fetchone()[0]
    spread = _Spread(first, last - first + 1, total)
    words = sorted((_Word(_matches(db, term, spread), term) for term in terms), key=lambda word: word.matches)
    words = [word for word in words if word.matches]
    if not words:
        return ()
    rare, room = _rare(words), max(_SCORED, most)
    common = [term for _, term in words[len(rare) :]]
    if not common and not any(term.inside for term in rare):
        return tuple(islice(_ranked(db, rare, allowed), most))
    candidates = dict.fromkeys(match.n for match in islice(_ranked(db, rare, allowed), room))
    candidates |= dict.fromkeys(_inside(db, rare, room, allowed))
    candidates |= dict.fromkeys(_with_all(db, common, room, allowed))
    if len(candidates) < most:
        candidates |= dict.fromkeys(_any(db, words, most, allowed))
    scored = _score(db, list(candidates), words, total)
    return tuple(sorted(scored, key=lambda match: (-match.score, match.n))[:most])


def _matches(db: sqlite_utils.Database, term: Term, spread: _Spread) -> int:
    """The number of chunks that have the term, roughly; exactly, while they are not many."""
    if term.inside:
        return int(db.execute("SELECT count(*) FROM chunks WHERE instr(text, ?) > 0", (term.text,)).fetchone()[0])
    count, last = db.execute(
        "SELECT count(*), max(rowid) FROM (SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ? LIMIT ?)",
        (term.match, _COUNTED),
    ).fetchone()
    if count < _COUNTED:
        return int(count)
    return int(min(spread.total, count * spread.width // (last - spread.first + 1)))


def _rare(words: Sequence[_Word]) -> list[Term]:
    taken, looked_at = [], 0
    for matches, term in words:
        looked_at += matches
        if looked_at > _LOOKED_AT:
            break
        taken.append(term)
    return taken


def _ranked(db: sqlite_utils.Database, terms: Sequence[Term], allowed: Allowed | None) -> Iterator[WordMatch]:
    """The chunks with any of the terms, the best first by FTS5's `bm25()`."""
    spaced = [term.match for term in terms if not term.inside]
    if spaced:
        rows = db.execute(
            "SELECT rowid, -rank FROM chunks_fts WHERE chunks_fts MATCH ? ORDER BY rank", (" OR ".join(spaced),)
        )
        yield from (WordMatch(n=n, score=score) for n, score in rows if allowed is None or n in allowed)


def _inside(db: sqlite_utils.Database, terms: Sequence[Term], most: int, allowed: Allowed | None) -> Iterator[int]:
    """The first chunks with any of the terms of scripts without spaces."""
    for term in terms:
        if term.inside:
            found = db.execute("SELECT n FROM chunks WHERE instr(text, ?) > 0", (term.text,))
            yield from islice(_only(found, allowed), most)


def _with_all(db: sqlite_utils.Database, terms: Sequence[Term], most: int, allowed: Allowed | None) -> Iterable[int]:
    """The first chunks that have all of the terms; without the commonest of them, as long as there are none."""
    spaced = [term.match for term in terms if not term.inside]
    while spaced:
        found = db.execute("SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ?", (" AND ".join(spaced),))
        chunks = list(islice(_only(islice(found, _LOOKED_AT), allowed), most))
        if chunks:
            return chunks
        spaced.pop()
    return ()


def _any(db: sqlite_utils.Database, words: Sequence[_Word], most: int, allowed: Allowed | None) -> Iterator[int]:
    """The first allowed chunks with any of the words, from wherever they are."""
    spaced = " OR ".join(word.term.match for word in words if not word.term.inside)
    if not spaced:
        return
    left = most
    for first, length in [(0, 2**62)] if allowed is None else allowed.ranges:
        rows = db.execute(
            "SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ? AND rowid >= ? AND rowid < ? LIMIT ?",
            (spaced, first, first + length, left),
        ).fetchall()
        yield from (row[0] for row in rows)
        left -= len(rows)
        if left <= 0:
            return


def _only(rows: Iterable[tuple[int]], allowed: Allowed | None) -> Iterator[int]:
    return (n for (n,) in rows if allowed is None or n in allowed)


def _score(db: sqlite_utils.Database, chunks: Sequence[int], words: Sequence[_Word], total: int) -> list[WordMatch]:
    """BM25 of these chunks, of text and heading together."""
    made: list[tuple[int, int, list[int]]] = []
    looked_for = [(word.term.counted, word.term.inside) for word in words]
    marks = ", ".join("?" * len(chunks))
    rows = db.execute(f"SELECT n, text || ' ' || heading FROM chunk_words WHERE n IN ({marks})", list(chunks))
    for n, text in rows:
        seen = folded(text)
        made.append((n, seen.count(" ") // 2, [(text if inside else seen).count(term) for term, inside in looked_for]))
    average = sum(length for _, length, _ in made) / max(len(made), 1) or 1.0
    weights = [math.log(1 + (total - word.matches + 0.5) / (word.matches + 0.5)) for word in words]
    return [
        WordMatch(n=n, score=sum(
            weight * seen * (_K1 + 1) / (seen + _K1 * (1 - _B + _B * length / average))
            for weight, seen in zip(weights, counts, strict=True)
        ))
        for n, length, counts in made
    ]  # fmt: skip
