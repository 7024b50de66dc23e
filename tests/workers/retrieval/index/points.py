"""Vectors for tests, of unit length and close to one another the way texts are: a few directions and some noise."""

from __future__ import annotations

import numpy as np

from agentgw_daemon.workers.retrieval.index.index_flat import Floats, Labels

DIM = 32


def points(count: int, dim: int = 32, seed: int = 1, directions: int = 12) -> Floats:
    chance = np.random.default_rng(seed)
    basis = np.random.default_rng(0).standard_normal((directions, dim))
    made = chance.standard_normal((count, directions)) @ basis + 0.3 * chance.standard_normal((count, dim))
    unit: Floats = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    return unit


def labels(count: int, first: int = 1) -> Labels:
    return np.arange(first, first + count, dtype=np.int64)


def nearest(all_labels: Labels, vectors: Floats, query: Floats, k: int) -> list[int]:
    """The nearest, by looking at each."""
    scores = vectors @ query
    return [int(label) for label in all_labels[np.lexsort((all_labels, -scores))][:k]]
