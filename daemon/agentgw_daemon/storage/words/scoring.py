"""Weight of a chunk for a query, from its text: BM25 by its words, and the names that it has. Pure."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from typing import Final

from agentgw.protocol.schema import record
from agentgw_daemon.storage.words.folding import fold, tokens
from agentgw_daemon.storage.words.terms import Name, Term, countable

# The parameters that FTS5 and everybody else has.
_K1: Final = 1.2
_B: Final = 0.75
# A name in another case or width is not quite the one that was asked for.
_ALIKE: Final = 0.5


@record
class WordCandidate:
    """A chunk that may be found: its text, the headings above it, the names of the files that have it."""

    n: int
    text: str
    heading: str
    files: str


@record
class CountedTerm:
    """A term and the number of chunks that have it."""

    term: Term
    matches: int


@record
class CountedName:
    """A name and the number of chunks that may have it."""

    name: Name
    matches: int


@record
class WordMatch:
    """A chunk found by its words. `score` is its BM25; `share`, from 0 to 1, how much of the query it has, 1 where it
    has every term as often as a chunk of its length would that is about it; `named` that of the names.
    """

    n: int
    score: float
    share: float
    named: float


def weigh(
    candidates: Sequence[WordCandidate], terms: Sequence[CountedTerm], names: Sequence[CountedName], total: int
) -> list[WordMatch]:
    """The candidates that have any of the terms, and all that were quoted."""
    seen = [(one, countable(tokens(f"{one.text} {one.heading} {one.files}"))) for one in candidates]
    counts = {one.n: [text.count(counted.term.counted) for counted in terms] for one, text in seen}
    lengths = {one.n: text.count(" ") // 2 for one, text in seen}
    average = sum(lengths.values()) / max(len(lengths), 1) or 1.0
    weights = [_idf(counted.matches, total) for counted in terms]
    most = sum(weights) or 1.0
    quoted = [at for at, counted in enumerate(terms) if counted.term.quoted]
    made = []
    for one in candidates:
        found = counts[one.n]
        if not any(found) or not all(found[at] for at in quoted):
            continue
        about = _K1 * (1 - _B + _B * lengths[one.n] / average)
        score = sum(weight * count * (_K1 + 1) / (count + about) for weight, count in zip(weights, found, strict=True))
        made.append(WordMatch(n=one.n, score=score, share=min(1.0, score / most), named=_named(one, names, total)))
    return made


def _idf(matches: int, total: int) -> float:
    return math.log(1 + (total - matches + 0.5) / (matches + 0.5))


def _named(one: WordCandidate, names: Sequence[CountedName], total: int) -> float:
    """The share of the names that a chunk has, the rarer ones counting more."""
    if not names:
        return 0.0
    texts = (one.text, one.heading, one.files)
    weights = [_idf(counted.matches, total) for counted in names]
    found = sum(weight * _likeness(counted.name, texts) for weight, counted in zip(weights, names, strict=True))
    return found / (sum(weights) or 1.0)


def _likeness(name: Name, texts: Sequence[str]) -> float:
    """1 where one of the texts has the very string, less where it is written a little differently."""
    if any(name.is_in(unicodedata.normalize("NFC", text)) for text in texts):
        return 1.0
    alike = Name(text=fold(name.text), match=name.match)
    return _ALIKE if alike.text and any(alike.is_in(fold(text)) for text in texts) else 0.0
