"""Reciprocal rank fusion: several orders of the same things as one. Pure.

Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods",
SIGIR 2009. Only ranks count, so scores that cannot be compared need not be.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final, TypeVar

T = TypeVar("T", bound=Hashable)

# The paper's constant: how little the first few ranks differ from one another.
K: Final = 60


def fuse(orders: Sequence[Sequence[T]]) -> list[tuple[T, float]]:
    """All that occurs in any order, the best first, with scores from 0 to 1.

    1 is what comes first in every order. What is equally good stays in the order of the first order that has it.
    """
    scores: dict[T, float] = {}
    for order in orders:
        for rank, one in enumerate(order, 1):
            scores[one] = scores.get(one, 0.0) + (K + 1) / (K + rank) / len(orders)
    return sorted(scores.items(), key=lambda item: -item[1])
