"""Weight of a chunk for a query, from its text: BM25 by its words, and the names that it has. Pure."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from itertools import chain
from typing import Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.words.folding import fold, parted
from agentgw_daemon.storage.words.terms import Name, Term, countable

# The parameters of BM25 that FTS5 and everybody else has: how soon repetition stops counting, and how much a long text
# is held against it.
K1: Final = 1.2
B: Final = 0.75
# A name in another case or width is not quite the one that was asked for.
_ALIKE: Final = 0.5
# A name among other words counts so much of what it counts alone: 600 descriptions of manual pages have names that the
# page itself does not repeat.
_AMONG_WORDS: Final = 0.2
# A file that is called all that was asked for, of two words at least; so many names of one text are looked at.
_CALLED: Final = 0.5
_NAMES: Final = 8


@record
class FileName:
    """A file's name, and the words by which it is searched."""

    text: str
    words: tuple[str, ...]


@record
class WordCandidate:
    """A chunk that may be found: its text with the headings above it and the names of the files that have it.

    `folded`: the same as `folding` has it; `words`: to count terms in; `length`: how many words; `called`: the words of
    each name.
    """

    n: int
    text: str
    folded: str
    words: str
    length: int
    called: tuple[str, ...] = ()


def candidate(n: int, text: str, names: Sequence[FileName] = ()) -> WordCandidate:
    """The candidate of a text and of the names of its files."""
    whole = " ".join((text, *chain.from_iterable((name.text, *name.words) for name in names)))
    folded = fold(whole)
    words = parted(folded)
    called = tuple(countable(name.words) for name in names[:_NAMES])
    return WordCandidate(n=n, text=whole, folded=folded, words=countable(words), length=len(words), called=called)


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


@record
class WordWeights:
    """Weights of the words of a query: terms and names with their numbers, in so many chunks of this average length.

    `alone`: nothing but one name was asked for.
    """

    terms: tuple[CountedTerm, ...]
    names: tuple[CountedName, ...]
    total: int
    alone: bool
    average: float = 0.0


def length_of(candidates: Sequence[WordCandidate]) -> float:
    """The average length of candidates in words; 0 of none."""
    return sum(one.length for one in candidates) / max(len(candidates), 1)


def weigh(candidates: Sequence[WordCandidate], weights: WordWeights) -> list[WordMatch]:
    """The candidates that have any of the terms, and all that were quoted."""
    looked_for = [
        (counted.term.counted, _idf(counted.matches, weights.total), counted.term.quoted) for counted in weights.terms
    ]
    names = [
        (counted.name, Name(text=fold(counted.name.text), match=""), _idf(counted.matches, weights.total))
        for counted in weights.names
    ]
    names_count = 1.0 if weights.alone else _AMONG_WORDS
    most = sum(weight for _, weight, _ in looked_for) or 1.0
    made = []
    for one in candidates:
        about = K1 * (1 - B + B * one.length / (weights.average or 1.0))
        score, demanded = 0.0, True
        for pattern, weight, quoted in looked_for:
            count = one.words.count(pattern)
            score += weight * count * (K1 + 1) / (count + about)
            demanded = demanded and (count > 0 or not quoted)
        if score and demanded:
            named = max(names_count * _named(one, names), _called(one, [pattern for pattern, _, _ in looked_for]))
            made.append(WordMatch(n=one.n, score=score, share=min(1.0, score / most), named=named))
    return made


def _called(one: WordCandidate, patterns: Sequence[str]) -> float:
    if len(patterns) < 2 or not any(all(pattern in name for pattern in patterns) for name in one.called):
        return 0.0
    return _CALLED


def _idf(matches: int, total: int) -> float:
    return math.log(1 + (total - matches + 0.5) / (matches + 0.5))


def _named(one: WordCandidate, names: Sequence[tuple[Name, Name, float]]) -> float:
    """The share of the names that a chunk has, the rarer ones counting more; a name comes with what it is folded.

    1 for the very string, less where it is written a little differently.
    """
    if not names:
        return 0.0
    text, found = unicodedata.normalize("NFC", one.text), 0.0
    for name, alike, weight in names:
        if name.is_in(text):
            found += weight
        elif alike.text and alike.is_in(one.folded):
            found += _ALIKE * weight
    return found / (sum(weight for _, _, weight in names) or 1.0)
