"""Vectors that are compared one by one: exact, and fast while they are few."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

# Vectors lie in blocks, so that many of them can come and go without a second copy of all.
_BLOCK: Final = 1024


class Flat:
    """Vectors with their labels, in no order."""

    def __init__(self, dim: int) -> None:
        self._dim: Final = dim
        self._blocks: list[Floats] = []
        self._labels: list[Labels] = []
        self._at: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._at)

    def __contains__(self, label: int) -> bool:
        return label in self._at

    @property
    def labels(self) -> Labels:
        """The labels, in the order of `scores`."""
        return np.concatenate(self._labels)[: len(self)] if self._labels else np.empty(0, dtype=np.int64)

    def add(self, labels: Labels, vectors: Floats) -> None:
        """Add vectors under labels that it does not have."""
        for begin in range(0, len(labels), _BLOCK):
            self._add(labels[begin : begin + _BLOCK], vectors[begin : begin + _BLOCK])

    def _add(self, labels: Labels, vectors: Floats) -> None:
        count = len(self)
        while len(self._blocks) * _BLOCK < count + len(labels):
            self._blocks.append(np.empty((_BLOCK, self._dim), dtype=np.float32))
            self._labels.append(np.empty(_BLOCK, dtype=np.int64))
        block, at = divmod(count, _BLOCK)
        fits = min(_BLOCK - at, len(labels))
        self._blocks[block][at : at + fits], self._labels[block][at : at + fits] = vectors[:fits], labels[:fits]
        if fits < len(labels):
            rest = len(labels) - fits
            self._blocks[block + 1][:rest], self._labels[block + 1][:rest] = vectors[fits:], labels[fits:]
        self._at.update(zip(labels.tolist(), range(count, count + len(labels)), strict=True))

    def remove(self, label: int) -> bool:
        """Take a vector out; False when it is not there."""
        at = self._at.pop(label, None)
        if at is None:
            return False
        last = len(self)
        if at != last:
            # The last one takes the free place.
            (block, row), (last_block, last_row) = divmod(at, _BLOCK), divmod(last, _BLOCK)
            self._blocks[block][row] = self._blocks[last_block][last_row]
            self._labels[block][row] = moved = int(self._labels[last_block][last_row])
            self._at[moved] = at
        self._give_back()
        return True

    def take(self, most: int) -> tuple[Labels, Floats]:
        """Take out at most so many, whichever are at the end."""
        count = len(self)
        block = max(count - 1, 0) // _BLOCK
        begin = max(count - most, block * _BLOCK)
        if not count:
            return np.empty(0, dtype=np.int64), np.empty((0, self._dim), dtype=np.float32)
        rows = slice(begin - block * _BLOCK, count - block * _BLOCK)
        labels, vectors = self._labels[block][rows].copy(), self._blocks[block][rows].copy()
        for label in labels.tolist():
            del self._at[label]
        self._give_back()
        return labels, vectors

    def scores(self, query: Floats) -> Floats:
        """The dot product of each with the query, in the order of `labels`."""
        if not self._blocks:
            return np.empty(0, dtype=np.float32)
        last = len(self) - (len(self._blocks) - 1) * _BLOCK
        return np.concatenate([block @ query for block in (*self._blocks[:-1], self._blocks[-1][:last])])

    def _give_back(self) -> None:
        needed = -(-len(self) // _BLOCK)
        del self._blocks[needed:], self._labels[needed:]


def best(labels: Labels, scores: Floats, k: int) -> tuple[Labels, Floats]:
    """The k (at least one) highest scores, the best first; among equals the smallest label first."""
    if len(scores) > k:
        # The k-th highest score decides; all that equal it are looked at, so that equals are told apart by label.
        bound = np.partition(scores, -k)[-k]
        chosen = np.nonzero(scores >= bound)[0]
        labels, scores = labels[chosen], scores[chosen]
    order = np.lexsort((labels, -scores))[:k]
    return labels[order], scores[order]
