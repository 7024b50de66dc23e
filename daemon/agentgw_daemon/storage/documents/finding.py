"""Chunks by their words: BM25, in milliseconds also where there are 100,000 of them.

FTS5's own `bm25()` looks at every chunk with any of the words, some microseconds each, and each of its words at least
once more: a common word would take half a second. So FTS5 gives candidates: all chunks with the rarer words, as many
words as together have no more than `_LOOKED_AT` matches, of the common words the first chunks that have them all, and
those that have a name or are of a file that is called so. The best of these are weighed by all words, from their texts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.columns import text_of
from agentgw_daemon.storage.documents.names import called, compounds, names_of
from agentgw_daemon.storage.documents.visible import Allowed
from agentgw_daemon.storage.words.scoring import (
    CountedName,
    CountedTerm,
    WordCandidate,
    WordMatch,
    WordWeights,
    candidate,
    length_of,
    weigh,
)
from agentgw_daemon.storage.words.terms import Term, Terms

if TYPE_CHECKING:
    from agentgw_daemon.storage.documents.selection import Where
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

# Matches that `bm25()` looks at: some 10 ms.
_LOOKED_AT: Final = 3_000
# A word is counted up to here; where the last match lies tells how many there are beyond it.
_COUNTED: Final = 2_000
# Candidates of either kind that are scored from their texts, some 20 µs each.
_SCORED: Final = 60
# Parts of what a filter lets through that are looked into one by one, some 20 µs each. Where it is in more pieces, all
# matches are gone through.
_PARTS: Final = 200
# Chunks with a name, and files that are called what is looked for.
_NAMED: Final = 40
_FILES: Final = 10
# Names that more than so many chunks have, and more than this share of all, say no more than a word does.
_RARE: Final = 50
_RARE_SHARE: Final = 0.02


@record
class View:
    """The part of the documents that is searched: `chunks` (None: all) and, for their files' names, `documents`.

    `total`: how many chunks there are altogether.
    """

    chunks: Allowed | None
    documents: Sequence[Where]
    total: int


@record
class WordsFound:
    """The chunks that were found, the best first, and what it takes to weigh others."""

    matches: tuple[WordMatch, ...] = ()
    weights: WordWeights | None = None


class _Spread(NamedTuple):
    """Spread of the numbers of chunks, and how many of them are in use."""

    first: int
    width: int
    total: int


def find(db: sqlite_utils.Database, query: Terms, most: int, view: View) -> WordsFound:
    """At most so many chunks with any of the terms and all quoted ones: fewer only when there are fewer."""
    # Three questions: asked for two ends at once, SQLite looks at everything between them.
    first = db.execute("SELECT min(n) FROM chunks").fetchone()[0]
    if first is None:
        return WordsFound()
    last = db.execute("SELECT max(n) FROM chunks").fetchone()[0]
    total = view.total
    spread = _Spread(first, last - first + 1, total)
    terms = tuple(CountedTerm(term=term, matches=_matches(db, term.match, spread)) for term in query.terms)
    names = (CountedName(name=name, matches=_matches(db, name.match, spread)) for name in query.names)
    rare = max(_RARE, int(_RARE_SHARE * total))
    telling = tuple(one for one in names if query.alone or one.matches <= rare)
    known = sorted((one for one in terms if one.matches), key=lambda one: one.matches)
    chosen = _candidates(db, known, most, view, query.phrases)
    for one in telling:
        if one.matches:
            chosen |= dict.fromkeys(islice(_having(db, one.name.match, one.matches, view.chunks), _NAMED))
    files = called(db, query.terms, _FILES, view.documents)
    chosen |= dict.fromkeys(n for n in files if view.chunks is None or n in view.chunks)
    candidates = _read(db, list(chosen), view.documents, query.terms)
    weights = WordWeights(
        terms=terms, names=telling, total=total, alone=query.alone, average=length_of(candidates)
    )  # fmt: skip
    weighed = sorted(weigh(candidates, weights), key=lambda match: (-match.named, -match.score, match.n))
    return WordsFound(matches=tuple(weighed[:most]), weights=weights)


def weigh_others(
    db: sqlite_utils.Database, chunks: Sequence[int], weights: WordWeights, view: View
) -> tuple[WordMatch, ...]:
    """The weights of chunks that were found in another way; those without any of the terms are left out."""
    candidates = _read(db, chunks, view.documents, [one.term for one in weights.terms])
    if not weights.average:
        weights = dataclasses.replace(weights, average=length_of(candidates))
    return tuple(weigh(candidates, weights))


def _candidates(
    db: sqlite_utils.Database, terms: Sequence[CountedTerm], most: int, view: View, demanded: Sequence[Term]
) -> dict[int, None]:
    """Numbers of chunks that may be the best by their words."""
    if not terms:
        return {}
    rare, room, allowed = _rare(terms), max(_SCORED, most), view.chunks
    common = [one.term for one in terms[len(rare) :]]
    behind = "".join(f" AND {term.match}" for term in demanded)
    found = dict.fromkeys(islice(_ranked(db, rare, behind, allowed), room))
    found |= dict.fromkeys(_with_all(db, common, behind, room, allowed))
    # All that have a rare term were looked at.
    if common and len(found) < most:
        found |= dict.fromkeys(_any(db, [one.term for one in terms], behind, most, allowed))
    return found


def _matches(db: sqlite_utils.Database, match: str, spread: _Spread) -> int:
    """The number of chunks that have it, roughly; exactly, while they are not many."""
    count, last = db.execute(
        "SELECT count(*), max(rowid) FROM (SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ? LIMIT ?)",
        (match, _COUNTED),
    ).fetchone()
    if count < _COUNTED:
        return int(count)
    return int(min(spread.total, count * spread.width // (last - spread.first + 1)))


def _rare(words: Sequence[CountedTerm]) -> list[Term]:
    taken, looked_at = [], 0
    for one in words:
        looked_at += one.matches
        if looked_at > _LOOKED_AT:
            break
        taken.append(one.term)
    return taken


def _ranked(db: sqlite_utils.Database, terms: Sequence[Term], behind: str, allowed: Allowed | None) -> Iterator[int]:
    """The chunks with any of the terms, the best first by FTS5's `bm25()`."""
    if terms:
        match = f"({' OR '.join(term.match for term in terms)}){behind}"
        rows = db.execute("SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ? ORDER BY rank", (match,))
        yield from _only(rows, allowed)


def _having(db: sqlite_utils.Database, match: str, matches: int, allowed: Allowed | None) -> Iterator[int]:
    """The chunks that have it, the best first while they are not too many to be ranked."""
    order = " ORDER BY rank" if matches <= _LOOKED_AT else ""
    yield from _only(db.execute(f"SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ?{order}", (match,)), allowed)


def _with_all(
    db: sqlite_utils.Database, terms: Sequence[Term], behind: str, most: int, allowed: Allowed | None
) -> Iterable[int]:
    """The first chunks that have all of the terms; without the commonest of them, as long as there are none."""
    left = [term.match for term in terms]
    while left:
        found = db.execute("SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ?", (" AND ".join(left) + behind,))
        chunks = list(islice(_only(islice(found, _LOOKED_AT), allowed), most))
        if chunks:
            return chunks
        left.pop()
    return ()


def _any(
    db: sqlite_utils.Database, terms: Sequence[Term], behind: str, most: int, allowed: Allowed | None
) -> Iterator[int]:
    """The first allowed chunks with any of the terms, from wherever they are."""
    match = f"({' OR '.join(term.match for term in terms)}){behind}"
    if allowed is not None and allowed.parts > _PARTS:
        matches = db.execute("SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ?", (match,))
        yield from islice(_only(matches, allowed), most)
        return
    left = most
    for first, length in [(0, 2**62)] if allowed is None else allowed.ranges:
        rows = db.execute(
            "SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ? AND rowid >= ? AND rowid < ? LIMIT ?",
            (match, first, first + length, left),
        ).fetchall()
        yield from (row[0] for row in rows)
        left -= len(rows)
        if left <= 0:
            return


def _only(rows: Iterable[tuple[int]], allowed: Allowed | None) -> Iterator[int]:
    return (n for (n,) in rows if allowed is None or n in allowed)


def _read(
    db: sqlite_utils.Database, chunks: Sequence[int], documents: Sequence[Where], terms: Sequence[Term]
) -> list[WordCandidate]:
    """The texts of chunks, with what is above them and the names of their files."""
    marks = ", ".join("?" * len(chunks))
    rows = db.execute(
        "SELECT c.n, c.content, c.text, k.title, c.title_path FROM chunks AS c JOIN contents AS k ON k.n = c.content"
        f" WHERE c.n IN ({marks})",
        list(chunks),
    ).fetchall()
    files = names_of(db, {row[1] for row in rows}, documents, compounds(terms))
    return [candidate(n, " ".join(map(text_of, texts)), files.get(content, [])) for n, content, *texts in rows]
