"""One order of chunks found by words and of chunks found by meaning. Pure.

Both sides say how good a chunk is, from 0 to 1, and a chunk's score is a weighted mean of the two: so a score means
the same in every search, and the best of nothing much stays low. Bruch, Gai and Ingber, "An Analysis of Fusion
Functions for Hybrid Retrieval", ACM TOIS 2023, found such a mean better than the fusion of ranks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agentgw_daemon.storage.words.scoring import WordMatch

# Share of meaning in a score, the rest is that of words; of 300 manual pages looked for by their descriptions, 0.7 and
# 0.8 found the most, and so did they of 300 others.
MEANING: Final = 0.7
# Share of its words' worth that a chunk is taken to have in meaning, where its vector is missing or says nothing: else
# what is a little like everything would come before it.
_UNTOLD: Final = 0.5
# Factor of each further chunk of a document.
_FURTHER: Final = 0.85


def fuse(words: Sequence[WordMatch], similarities: Mapping[int, float]) -> list[tuple[int, float]]:
    """All that was found, the best first, with scores from 0 to 1.

    What has a name that was asked for comes before what has none. Where nothing was compared by meaning, words alone
    count.
    """
    found = {match.n: match for match in words}
    meaning = MEANING if similarities else 0.0
    # A name alone counts more than any difference in meaning.
    weight = 1.0 if any(match.named for match in words) else 0.0
    made: list[tuple[int, float]] = []
    for n in dict.fromkeys([*found, *similarities]):
        match, similarity = found.get(n), similarities.get(n, 0.0)
        share, named = (0.0, 0.0) if match is None else (match.share, match.named)
        # Exactly nothing is the likeness of a vector of zeros.
        near = min(1.0, max(0.0, similarity)) if similarity else _UNTOLD * share
        made.append((n, (meaning * near + (1 - meaning) * share + named) / (1 + weight)))
    return sorted(made, key=lambda one: -one[1])


def spread(scored: Sequence[tuple[int, float]], holders: Mapping[int, int]) -> list[tuple[int, float]]:
    """The scores with the chunks of one holder apart: each further one counts less, so that one does not fill the list.

    A chunk without a holder is left out.
    """
    before: Counter[int] = Counter()
    made: list[tuple[int, float]] = []
    for n, score in scored:
        if n in holders:
            made.append((n, score * _FURTHER ** before[holders[n]]))
            before[holders[n]] += 1
    return sorted(made, key=lambda one: -one[1])
