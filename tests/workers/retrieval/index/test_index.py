from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agentgw_daemon.workers.retrieval.index import index as index_module
from agentgw_daemon.workers.retrieval.index.index import Index
from agentgw_daemon.workers.retrieval.index.index_file import IndexIdentity, load, save
from agentgw_daemon.workers.retrieval.index.index_flat import Floats, Labels, best
from agentgw_daemon.workers.retrieval.index.index_graph import EXACT
from tests.workers.retrieval.index.points import DIM, labels, nearest, points


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs from thirty vectors on."""
    _shrink(monkeypatch)


def _shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "FLAT_MOST", 30)
    monkeypatch.setattr(index_module, "FLAT_AGAIN", 15)
    monkeypatch.setattr(index_module, "_COMPACT_FROM", 8)


def _build(index: Index) -> None:
    index.build(3600)


def _found(index: Index, query: Floats, k: int, allowed: Labels | None = None) -> list[int]:
    found, scores = index.search(query, k, allowed)
    assert list(scores) == sorted(scores, reverse=True)
    return [int(label) for label in found]


def test_few_vectors_are_searched_exactly() -> None:
    index, vectors = Index(DIM), points(500)
    index.add(labels(500), vectors)
    assert index.waiting == 0
    for query in points(20, seed=2):
        assert _found(index, query, 10) == nearest(labels(500), vectors, query, 10)


def test_many_vectors_are_found_before_while_and_after_they_are_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "FLAT_MOST", 1000)
    monkeypatch.setattr(index_module, "FLAT_AGAIN", 500)
    index, vectors, queries = Index(DIM), points(3000), points(50, seed=2)
    index.add(labels(3000), vectors)
    assert index.waiting == 3000
    recalls = []
    for waiting in (3000, 1500, 0):
        while index.waiting > waiting:
            index.build(0)
        hits = sum(len({*_found(index, query, 10)} & {*nearest(labels(3000), vectors, query, 10)}) for query in queries)
        recalls.append(hits / (10 * len(queries)))
    assert recalls[0] == 1
    assert min(recalls) >= 0.98


@pytest.fixture(scope="module")
def large() -> tuple[Index, Floats]:
    """A graph, which takes its time to be built, and its vectors; for those who only search."""
    count = 12_000
    index, vectors = Index(DIM), points(count)
    index.add(labels(count), vectors)
    _build(index)
    assert index.graph is not None
    return index, vectors


@pytest.mark.parametrize("share", [0.003, 0.01, 0.1, 0.5, 0.9])
def test_a_filter_never_gives_fewer_than_k_while_there_are_so_many(share: float, large: tuple[Index, Floats]) -> None:
    index, vectors = large
    allowed = np.flatnonzero(np.random.default_rng(3).random(len(vectors)) < share) + 1
    hits = 0
    for query in points(20, seed=2):
        found = _found(index, query, 10, allowed)
        assert len(found) == min(10, len(allowed))
        assert set(found) <= set(allowed.tolist())
        hits += len({*found} & {*nearest(allowed, vectors[allowed - 1], query, 10)})
    assert hits >= (200 if len(allowed) <= EXACT else 190)


def test_a_filter_that_lets_everything_far_away_through_still_gives_k() -> None:
    """The walk begins among what is near, none of which may be found."""
    near, far = points(11_000), points(300, seed=9)
    query = near[0]
    far = (far - 2 * (far @ query)[:, None].clip(min=0) * query).astype(np.float32)
    index = Index(DIM)
    index.add(labels(11_300), np.concatenate((near, far)))
    _build(index)
    allowed = labels(300, first=11_001)
    assert len(_found(index, query, 10, allowed)) == 10
    assert len(_found(index, query, 300, allowed)) == 300
    assert _found(index, query, 400, allowed)[:300].sort() == [*allowed].sort()


def test_nothing_allowed_gives_nothing_and_nothing_held_too() -> None:
    index = Index(DIM)
    query = points(1)[0]
    assert _found(index, query, 5) == []
    index.add(labels(10), points(10))
    assert _found(index, query, 5, labels(0)) == []
    assert _found(index, query, 5, labels(5, first=100)) == []


@pytest.mark.usefixtures("few")
def test_removed_vectors_are_not_found_and_come_back_when_added_again() -> None:
    index, vectors = Index(DIM), points(100)
    index.add(labels(100), vectors)
    _build(index)
    index.remove(np.array([1, 2, 3, 777], dtype=np.int64))
    query = vectors[1]
    assert _found(index, query, 97) == nearest(labels(97, first=4), vectors[3:], query, 97)
    index.add(labels(3), vectors[:3])
    assert _found(index, query, 1) == [2]
    assert len(index) == 100


@pytest.mark.usefixtures("few")
def test_marks_that_pile_up_are_cleared_away_while_searches_go_on() -> None:
    index, vectors = Index(DIM), points(200)
    index.add(labels(200), vectors)
    _build(index)
    index.remove(labels(60))
    assert index.deleted == 60
    assert index.waiting > 0
    seen = 0
    while index.waiting:
        index.build(0)
        seen += 1
        if seen == 3:
            index.remove(labels(5, first=61))
            index.add(labels(2), vectors[:2])
        held = [*(labels(2) if seen >= 3 else []), *labels(135 if seen >= 3 else 140, first=66 if seen >= 3 else 61)]
        kept = np.array(held, dtype=np.int64)
        assert _found(index, vectors[100], len(kept)) == nearest(kept, vectors[kept - 1], vectors[100], len(kept))
    assert index.deleted < 60
    assert index.unsaved


@pytest.mark.usefixtures("few")
def test_an_index_that_shrinks_gives_its_graph_up() -> None:
    index, vectors = Index(DIM), points(50)
    index.add(labels(50), vectors)
    _build(index)
    assert index.graph is not None
    index.remove(labels(40))
    _build(index)
    assert index.graph is None
    assert not index.unsaved
    assert _found(index, vectors[45], 20) == nearest(labels(10, first=41), vectors[40:], vectors[45], 20)


def test_equal_scores_are_in_the_order_of_their_labels() -> None:
    scores = np.array([0.5, 0.5, 0.9, 0.5], dtype=np.float32)
    found, _ = best(np.array([4, 2, 9, 3], dtype=np.int64), scores, 3)
    assert found.tolist() == [9, 2, 3]


@given(st.lists(st.floats(-1, 1, width=32), max_size=40), st.integers(1, 50))
def test_the_best_are_those_of_a_whole_sort(given_scores: list[float], k: int) -> None:
    scores = np.array(given_scores, dtype=np.float32)
    found, ordered = best(labels(len(scores)), scores, k)
    wanted = sorted(zip(-scores, labels(len(scores)).tolist(), strict=True))[:k]
    assert [(-score, label) for score, label in zip(ordered, found.tolist(), strict=True)] == wanted


class Life(RuleBasedStateMachine):
    """An index to which anything is done in any order: add, remove, build, save, lose, load; what is found is
    what is there.
    """

    @initialize()
    def make(self) -> None:
        self.patch = pytest.MonkeyPatch()
        _shrink(self.patch)
        self.folder = tempfile.TemporaryDirectory()
        self.index = Index(DIM)
        self.vectors = points(120)
        self.held: set[int] = set()
        self.saved: tuple[str, str, set[int]] | None = None
        self.generation = 0

    def teardown(self) -> None:
        self.patch.undo()
        self.folder.cleanup()

    @rule(first=st.integers(1, 100), count=st.integers(1, 20))
    def add(self, first: int, count: int) -> None:
        added = labels(count, first)
        self.index.add(added, self.vectors[added - 1])
        self.held |= set(added.tolist())

    @rule(first=st.integers(1, 100), count=st.integers(1, 20))
    def remove(self, first: int, count: int) -> None:
        self.index.remove(labels(count, first))
        self.held -= set(labels(count, first).tolist())

    @rule(whole=st.booleans())
    def build(self, whole: bool) -> None:
        self.index.build(3600 if whole else 0)

    @rule()
    def save(self) -> None:
        if self.index.graph is not None and not self.index.waiting:
            self.generation += 1
            self.index.generation = self.generation
            file, sha256 = save(Path(self.folder.name), _IDENTITY, self.index.graph, self.generation)
            self.index.note_saved()
            self.saved = file, sha256, set(self.held)

    @rule()
    def lose(self) -> None:
        if self.saved is not None:
            file, sha256, held = self.saved
            graph, generation = load(Path(self.folder.name), file, sha256, _IDENTITY)
            self.index, self.held = Index(DIM, graph=graph, generation=generation), set(held)

    @invariant()
    def finds_what_is_there(self) -> None:
        if not hasattr(self, "index"):
            return
        kept = np.array(sorted(self.held), dtype=np.int64)
        assert len(self.index) == len(kept)
        query = self.vectors[7]
        wanted: Any = nearest(kept, self.vectors[kept - 1], query, len(kept) + 1)
        assert _found(self.index, query, len(kept) + 1) == wanted
        odd = kept[kept % 2 == 1]
        assert _found(self.index, query, 5, odd) == nearest(odd, self.vectors[odd - 1], query, 5)


_IDENTITY = IndexIdentity(key="k", dim=DIM, embedder_id="e")
TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
