"""Vectors that are compared one by one: exact, and fast while they are few."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

_FIRST_ROOM: Final = 256
_GROWTH: Final = 1.5


class Flat:
    """A growing matrix of vectors with their labels."""

    def __init__(self, dim: int) -> None:
        self._vectors: Floats = np.empty((0, dim), dtype=np.float32)
        self._labels: Labels = np.empty(0, dtype=np.int64)
        self._at: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._at)

    def __contains__(self, label: int) -> bool:
        return label in self._at

    @property
    def labels(self) -> Labels:
        """The labels, in no order."""
        return self._labels[: len(self._at)]

    def add(self, labels: Labels, vectors: Floats) -> None:
        """Add vectors under labels that it does not have."""
        count = len(self._at)
        self._make_room(count + len(labels))
        self._labels[count : count + len(labels)] = labels
        self._vectors[count : count + len(labels)] = vectors
        self._at.update(zip(labels.tolist(), range(count, count + len(labels)), strict=True))

    def remove(self, label: int) -> bool:
        """Take one out; False when it is not there."""
        at = self._at.pop(label, None)
        if at is None:
            return False
        last = len(self._at)
        if at != last:
            # The last one takes the free place.
            self._vectors[at] = self._vectors[last]
            self._labels[at] = moved = int(self._labels[last])
            self._at[moved] = at
        return True

    def take(self, most: int) -> tuple[Labels, Floats]:
        """Take out so many, whichever are at the end."""
        count = len(self._at)
        rest = max(count - most, 0)
        labels, vectors = self._labels[rest:count].copy(), self._vectors[rest:count].copy()
        for label in labels.tolist():
            del self._at[label]
        if rest == 0:
            # What grew for a large build is given back.
            self._vectors, self._labels = self._vectors[:0].copy(), self._labels[:0].copy()
        return labels, vectors

    def scores(self, query: Floats) -> Floats:
        """The dot product of each with the query, in the order of `labels`."""
        made: Floats = self._vectors[: len(self._at)] @ query
        return made

    def _make_room(self, count: int) -> None:
        if count <= len(self._labels):
            return
        room = max(count, int(len(self._labels) * _GROWTH), _FIRST_ROOM)
        vectors = np.empty((room, self._vectors.shape[1]), dtype=np.float32)
        labels = np.empty(room, dtype=np.int64)
        held = len(self._at)
        vectors[:held], labels[:held] = self._vectors[:held], self._labels[:held]
        self._vectors, self._labels = vectors, labels


def best(labels: Labels, scores: Floats, k: int) -> tuple[Labels, Floats]:
    """The k (at least one) highest scores, the best first; among equals the smallest label first."""
    if len(scores) > k:
        # The k-th highest score decides; all that equal it are looked at, so that equals are told apart by label.
        bound = np.partition(scores, -k)[-k]
        chosen = np.nonzero(scores >= bound)[0]
        labels, scores = labels[chosen], scores[chosen]
    order = np.lexsort((labels, -scores))[:k]
    return labels[order], scores[order]
