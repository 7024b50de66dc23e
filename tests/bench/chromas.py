"""Vectors in chromadb, in a process of the other environment; see `chroma`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from tests.bench.baseline import Baseline
from tests.bench.points import Floats
from tests.bench.setting import BENCH_PYTHON


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Answers to the queries, the best first, and the time that they took."""

    found: Sequence[Sequence[int]]
    p50_ms: float
    rss_bytes: int


class Chroma:
    """A collection of these vectors, named by their rows; a context manager."""

    def __init__(self, vectors: Floats, folder: Path) -> None:
        self._queries = folder / "queries.npy"
        path = folder / "vectors.npy"
        np.save(path, vectors)
        self._process = Baseline("chroma", {"vectors": str(path)}, python=BENCH_PYTHON)

    def __enter__(self) -> Self:
        self._process.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._process.__exit__(kind, error, trace)

    def ask(self, queries: Floats, k: int) -> Answered:
        """The k nearest of each, asked for one by one."""
        np.save(self._queries, queries)
        answer = self._process.ask({"queries": str(self._queries), "k": k})
        return Answered(found=answer["found"], p50_ms=statistics.median(answer["ms"]), rss_bytes=answer["rss_bytes"])
