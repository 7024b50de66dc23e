"""One order of chunks found by words and of chunks found by meaning. Pure.

Both sides say how good a chunk is, from 0 to 1, and a chunk's score is a weighted mean of the two: so a score means
the same in every search, and the best of nothing much stays low. Bruch, Gai and Ingber, "An Analysis of Fusion
Functions for Hybrid Retrieval", ACM TOIS 2023, found such a mean better than the fusion of ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agentgw_daemon.storage.words.scoring import WordMatch

# Share of meaning in a score.
MEANING: Final = 0.6


def fuse(words: Sequence[WordMatch], similarities: Mapping[int, float]) -> list[tuple[int, float]]:
    """All that was found, the best first, with scores from 0 to 1.

    What has a name that was asked for comes before what has none. Where nothing was compared by meaning, words alone
    count. What only words found is no nearer in meaning than the last that meaning found.
    """
    found = {match.n: match for match in words}
    numbers = dict.fromkeys([*found, *similarities])
    meaning = MEANING if similarities else 0.0
    least = max(0.0, min(similarities.values(), default=0.0))
    named = any(match.named for match in words)
    made: list[tuple[int, float]] = []
    for n in numbers:
        match = found.get(n)
        near = min(1.0, max(0.0, similarities.get(n, least)))
        score = meaning * near + (1 - meaning) * (match.share if match is not None else 0.0)
        if named:
            # A name is in the upper half or not there at all.
            score = (score + (match.named if match is not None else 0.0)) / 2
        made.append((n, score))
    return sorted(made, key=lambda one: -one[1])
