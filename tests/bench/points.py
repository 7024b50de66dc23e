"""Made-up vectors and texts by the hundred thousand, always the same, and how good a search among them is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

_CENTRES: Final = 1_000
# Neighbours in a cluster are about as alike as chunks about one thing are to an embedder: a cosine of 0.6 to 0.7.
_SPREAD: Final = 0.7
_VOCABULARY: Final = 50_000
# Zipf's law with Mandelbrot's correction, as English has it: the first few words are in nearly every chunk.
_FLATTENED: Final = 2.7
_CONSONANTS: Final = "bcdfghjklmnprstvwxyz"
_BLOCK: Final = 256


def clustered(count: int, dim: int, *, seed: int) -> Floats:
    """Unit vectors around some centres, which are the same for each seed."""
    centres = _unit(np.random.default_rng(0).standard_normal((_CENTRES, dim), dtype=np.float32))
    generator = np.random.default_rng((1, seed))
    noise = _unit(generator.standard_normal((count, dim), dtype=np.float32))
    return _unit(centres[generator.integers(_CENTRES, size=count)] + _SPREAD * noise)


def nearest(vectors: Floats, queries: Floats, k: int) -> Numbers:
    """The k nearest of each query by looking at all, the best first: rows of `vectors`."""
    made = [_best(queries[at : at + _BLOCK] @ vectors.T, k) for at in range(0, len(queries), _BLOCK)]
    return np.concatenate(made)


def recall(found: Sequence[Sequence[int]], exact: Numbers) -> float:
    """The share of the nearest that was found."""
    hits = [len(set(some) & set(all_of.tolist())) for some, all_of in zip(found, exact, strict=True)]
    return sum(hits) / exact.size


def chatter(count: int, words: int, *, seed: int, known: Sequence[str] = ()) -> list[str]:
    """Texts of `count` words, common and rare ones as in a language: `known` ones, and rarer ones made up."""
    vocabulary = np.array([*known, *(_word(rank) for rank in range(len(known), _VOCABULARY))])
    weights = 1 / (np.arange(_VOCABULARY) + _FLATTENED)
    chosen = np.random.default_rng((2, seed)).choice(_VOCABULARY, size=(count, words), p=weights / weights.sum())
    return [" ".join(vocabulary[row]) for row in chosen]


def _word(rank: int) -> str:
    """Another word for each rank, short for the common ones."""
    syllables = [consonant + vowel for consonant in _CONSONANTS for vowel in "aeiou"]
    word = ""
    while True:
        rank, last = divmod(rank, len(syllables))
        word = syllables[last] + word
        if not rank:
            return word
        rank -= 1


def _unit(vectors: Floats) -> Floats:
    made: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return made


def _best(scores: Floats, k: int) -> Numbers:
    some = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)
