"""One vector index: what is few or new is compared one by one, the rest is walked as a graph.

While there are few vectors all are compared, which is exact. Beyond that they wait in the flat part, found from the
moment they came, until steps of `build` have moved them into the graph. Deleted vectors stay in the graph as marks;
when they pile up, `build` makes a second graph of what is left beside the first, which serves until the second is done.
"""

from __future__ import annotations

import os
import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agentgw_daemon.workers.retrieval.index.index_flat import Flat, Floats, Labels, best
from agentgw_daemon.workers.retrieval.index.index_graph import ABSENT, LIVE, Graph

# So many are compared in less than half a millisecond; a graph would not be faster.
FLAT_MOST: Final = 10_000
# Below this a graph is given up for good; between the two, things stay as they are.
FLAT_AGAIN: Final = 5_000
# Marks cost a walk its time; beyond a quarter the graph is made anew.
DELETED_SHARE: Final = 0.25
_COMPACT_FROM: Final = 1_000
# Vectors that are built in at a time: some 10 ms of two processors.
_STEP: Final = 16


class Index:
    """The index. Vectors are of unit length; scores are cosine similarities."""

    def __init__(self, dim: int, *, expected: int = 0, graph: Graph | None = None, generation: int = 0) -> None:
        self.dim: Final = dim
        self.generation = generation
        self.graph = graph
        self._flat = Flat(dim)
        self._expected = expected
        self._next: Graph | None = None  # what a compaction makes
        self._rest = np.empty(0, dtype=np.int64)  # what it has yet to take over
        self._threads = os.cpu_count() or 1
        self._changed = False

    def __len__(self) -> int:
        return len(self._flat) + (0 if self.graph is None else self.graph.live)

    @property
    def deleted(self) -> int:
        """Marks in the graph."""
        return 0 if self.graph is None else self.graph.deleted

    @property
    def waiting(self) -> int:
        """The number of vectors that `build` has to take in."""
        if self._next is not None:
            return len(self._rest) + len(self._flat)
        if self._wants_flat() or self._wants_compaction():
            return len(self) + 1
        return len(self._flat) if self._wants_graph() else 0

    @property
    def unsaved(self) -> bool:
        """Tells whether a file would hold something new. Without a graph there is nothing to save."""
        return self.graph is not None and self._changed

    def note_saved(self) -> None:
        """Notes that it was written as it is."""
        self._changed = False

    def add(self, labels: Labels, vectors: Floats) -> None:
        """Add vectors; labels that it has already stay as they are."""
        if self.graph is not None:
            self.graph.revive(labels)
            if self._next is not None:
                self._next.revive(labels)
        known = np.fromiter((label in self._flat for label in labels.tolist()), dtype=bool, count=len(labels))
        if self.graph is not None:
            known |= self.graph.states(labels) == LIVE
        self._changed = True
        self._flat.add(labels[~known], vectors[~known])

    def remove(self, labels: Labels) -> None:
        """Remove those that are there."""
        for label in labels.tolist():
            self._flat.remove(label)
        if self.graph is not None:
            self.graph.remove(labels)
        if self._next is not None:
            self._next.remove(labels)
        self._changed = True

    def build(self, budget_s: float) -> None:
        """Work off some of what waits."""
        end = time.monotonic() + budget_s
        while self.waiting:
            self._step()
            if time.monotonic() >= end:
                return

    def search(self, query: Floats, k: int, allowed: Labels | None = None) -> tuple[Labels, Floats]:
        """The k nearest, of the allowed labels (in order) alone: fewer only when there are fewer. The best first."""
        labels, scores = self._flat.labels, self._flat.scores(query)
        if allowed is not None:
            chosen = _among(labels, allowed)
            labels, scores = labels[chosen], scores[chosen]
        if self.graph is not None:
            found = self.graph.nearest(query, k) if allowed is None else self.graph.nearest_of(query, k, allowed)
            labels, scores = np.concatenate((labels, found[0])), np.concatenate((scores, found[1]))
        return best(labels, scores, k)

    def _wants_graph(self) -> bool:
        return len(self._flat) > 0 and (self.graph is not None or len(self._flat) > FLAT_MOST)

    def _wants_flat(self) -> bool:
        return self.graph is not None and len(self) < FLAT_AGAIN

    def _wants_compaction(self) -> bool:
        graph = self.graph
        return graph is not None and graph.deleted > max(_COMPACT_FROM, DELETED_SHARE * (graph.live + graph.deleted))

    def _step(self) -> None:
        if self._next is not None:
            self._compact()
        elif self._wants_flat():
            self._flatten()
        elif self._wants_compaction():
            assert self.graph is not None
            self._rest = self.graph.with_state(LIVE)
            self._next = Graph(self.dim, len(self._rest) + len(self._flat))
        else:
            self._grow()

    def _grow(self) -> None:
        if self.graph is None:
            self.graph = Graph(self.dim, max(self._expected, len(self._flat)))
        labels, vectors = self._flat.take(_STEP)
        self.graph.add(labels, vectors, self._threads)

    def _compact(self) -> None:
        assert self.graph is not None
        assert self._next is not None
        batch, self._rest = self._rest[:_STEP], self._rest[_STEP:]
        # Removed, or removed and back, while this went on.
        batch = batch[(self.graph.states(batch) == LIVE) & (self._next.states(batch) == ABSENT)]
        if len(batch):
            self._next.add(batch, self.graph.vectors(batch), self._threads)
        if not len(self._rest):
            # Revived in the old graph after their turn had passed them by.
            late = self.graph.with_state(LIVE)
            self._rest = late[self._next.states(late) == ABSENT]
        if not len(self._rest):
            self.graph, self._next, self._changed = self._next, None, True

    def _flatten(self) -> None:
        assert self.graph is not None
        labels = self.graph.with_state(LIVE)
        self._flat.add(labels, self.graph.vectors(labels))
        self.graph = None


def _among(labels: Labels, allowed: Labels) -> NDArray[np.bool_]:
    """A mask of the labels that are allowed ones; these are in order."""
    if not len(allowed):
        return np.zeros(len(labels), dtype=bool)
    places = np.minimum(np.searchsorted(allowed, labels), len(allowed) - 1)
    chosen: NDArray[np.bool_] = allowed[places] == labels
    return chosen
