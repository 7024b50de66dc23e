"""An hnswlib graph with what hnswlib does not tell: which labels it has, and which of them are deleted.

hnswlib's own bounds: labels are never given to another vector, so a label that comes back brings the same vector and is
only marked alive again.
"""

from __future__ import annotations

from typing import Final

import hnswlib
import numpy as np
from numpy.typing import NDArray

from agentgw_daemon.workers.retrieval.index.index_flat import Floats, Labels

# One less than hnswlib's usual 16 saves a megabyte at 100,000 x 384, where the worker has none to spare. On vectors
# without clusters recall@10 is 0.990 at `EF`, as quick as 16 with 200, which reaches 0.988.
M: Final = 15
EF_CONSTRUCTION: Final = 200
# Candidates that a search keeps. Recall@10 of at least 0.98 at 100,000 x 384 in well under a millisecond.
EF: Final = 220
# With a filter the walk goes on until so many were let through, which takes it further; what it finds is the better.
EF_FILTERED: Final = 64
# hnswlib gives out a vector as a list of Python floats: some 30 µs. Up to so many, each is looked at.
EXACT: Final = 512
_GROWTH: Final = 1.1
_MARGIN: Final = 1024
_BLOCK: Final = 1024

ABSENT, LIVE, DELETED = 0, 1, 2


class Graph:
    """Vectors found by walking a graph. Made empty with room for so many, or from what `load` read."""

    def __init__(self, dim: int, room: int) -> None:
        self.dim: Final = dim
        self.index = hnswlib.Index(space="ip", dim=dim)
        self.index.init_index(room + _MARGIN, M=M, ef_construction=EF_CONSTRUCTION, random_seed=1)
        self.index.set_ef(EF)
        self._states: NDArray[np.uint8] = np.zeros(_MARGIN, dtype=np.uint8)
        self.live = 0
        self.deleted = 0

    @classmethod
    def load(cls, dim: int, path: str, deleted: Labels) -> Graph:
        """The graph in a file that is known to be whole; hnswlib's reader trusts it blindly. Raises RuntimeError."""
        graph = cls.__new__(cls)
        graph.dim = dim  # type: ignore[misc]  # the one other constructor
        graph.index = hnswlib.Index(space="ip", dim=dim)
        graph.index.load_index(path)
        graph.index.set_ef(EF)
        labels = np.array(graph.index.get_ids_list(), dtype=np.int64)
        graph._states = np.zeros(int(labels.max(initial=0)) + _MARGIN, dtype=np.uint8)
        graph._states[labels] = LIVE
        graph._states[deleted] = DELETED
        graph.deleted = len(deleted)
        graph.live = len(labels) - len(deleted)
        return graph

    def __len__(self) -> int:
        return self.live

    @property
    def max_label(self) -> int:
        """The highest label that it ever had."""
        return int(np.nonzero(self._states)[0].max(initial=0))

    def states(self, labels: Labels) -> NDArray[np.uint8]:
        """ABSENT, LIVE or DELETED of each."""
        known = labels < len(self._states)
        made = np.zeros(len(labels), dtype=np.uint8)
        made[known] = self._states[labels[known]]
        return made

    def with_state(self, state: int) -> Labels:
        """All labels of a state, in order."""
        return np.nonzero(self._states == state)[0].astype(np.int64)

    def add(self, labels: Labels, vectors: Floats, threads: int) -> None:
        """Add vectors under labels that are absent."""
        needed = self.live + self.deleted + len(labels)
        if needed > self.index.max_elements:
            self.index.resize_index(int(needed * _GROWTH) + _MARGIN)
        self.index.add_items(vectors, labels, num_threads=threads)
        highest = int(labels.max(initial=0))
        if highest >= len(self._states):
            grown = np.zeros(int(highest * _GROWTH) + _MARGIN, dtype=np.uint8)
            grown[: len(self._states)] = self._states
            self._states = grown
        self._states[labels] = LIVE
        self.live += len(labels)

    def remove(self, labels: Labels) -> int:
        """Mark those that are there as deleted; gives how many."""
        going = labels[self.states(labels) == LIVE]
        for label in going.tolist():
            self.index.mark_deleted(label)
        return self._turn(going, DELETED, -len(going))

    def revive(self, labels: Labels) -> int:
        """Mark those that are deleted as there; gives how many."""
        coming = labels[self.states(labels) == DELETED]
        for label in coming.tolist():
            self.index.unmark_deleted(label)
        return self._turn(coming, LIVE, len(coming))

    def _turn(self, labels: Labels, state: int, gain: int) -> int:
        self._states[labels] = state
        self.live += gain
        self.deleted -= gain
        return len(labels)

    def vectors(self, labels: Labels) -> Floats:
        """The vectors of labels that are there."""
        if not len(labels):
            return np.empty((0, self.dim), dtype=np.float32)
        made: Floats = np.asarray(self.index.get_items(labels.tolist()), dtype=np.float32)
        return made

    def nearest(self, query: Floats, k: int) -> tuple[Labels, Floats]:
        """About the k nearest, in no order: fewer only when there are fewer."""
        k = min(k, self.live)
        if k == 0:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        found = self._walk(query, k, None)
        return self.exact(query, self.with_state(LIVE)) if found is None else found

    def nearest_of(self, query: Floats, k: int, allowed: Labels) -> tuple[Labels, Floats]:
        """About the k nearest of these labels, in no order: fewer only when there are fewer."""
        allowed = allowed[self.states(allowed) == LIVE]
        k = min(k, len(allowed))
        if len(allowed) > max(EXACT, k):
            mask = np.zeros(len(self._states), dtype=np.uint8)
            mask[allowed] = 1
            # The quickest thing that hnswlib can ask: no frame of Python is made for it.
            found = self._walk(query, k, mask.tobytes())
            if found is not None:
                return found
        return self.exact(query, allowed)

    def _walk(self, query: Floats, k: int, mask: bytes | None) -> tuple[Labels, Floats] | None:
        """The labels that a walk finds; None when it ends before it has k."""
        self.index.set_ef(max(EF if mask is None else EF_FILTERED, 2 * k))
        try:
            if mask is None:
                labels, distances = self.index.knn_query(query, k=k, num_threads=1)
            else:
                labels, distances = self.index.knn_query(query, k=k, num_threads=1, filter=mask.__getitem__)
        except RuntimeError:
            # Parts of a graph can lose their connections when much around them was deleted.
            return None
        return labels[0].astype(np.int64), (1 - distances[0]).astype(np.float32)

    def exact(self, query: Floats, labels: Labels) -> tuple[Labels, Floats]:
        """The scores of these labels, each looked at."""
        scores = [self.vectors(labels[at : at + _BLOCK]) @ query for at in range(0, len(labels), _BLOCK)]
        return labels, np.concatenate(scores) if scores else np.empty(0, dtype=np.float32)
