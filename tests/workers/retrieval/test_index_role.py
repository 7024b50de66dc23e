"""Messages of the index, in the worker, without the process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.protocol.codec import WorkerReply, WorkerRequest
from agentgw_daemon.workers.protocol.index import (
    IndexAdd,
    IndexAdvance,
    IndexBuild,
    IndexClose,
    IndexFound,
    IndexOpen,
    IndexRemove,
    IndexSave,
    IndexSaved,
    IndexSearch,
    IndexState,
)
from agentgw_daemon.workers.retrieval import index_role
from agentgw_daemon.workers.retrieval.handlers import Handlers, Refusal
from agentgw_daemon.workers.retrieval.index import index as index_module
from agentgw_daemon.workers.retrieval.index.index_flat import Floats, Labels
from tests.retrieval.fakeworker import UnheardTask
from tests.workers.retrieval.index.points import DIM, labels, nearest, points

EMBEDDER = wire.Embedder(name="e", id="e1", dim=DIM, max_tokens=256)


class Worker:
    """A worker's handlers, with an embedder that knows one text."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.handlers = Handlers()
        vector = points(1, seed=7).tobytes()
        self.handlers.add(wire.Embed, lambda request, _task: wire.Embedded(dim=DIM, vectors=vector))
        index_role.add_to(self.handlers)

    def ask(self, request: WorkerRequest) -> WorkerReply:
        return self.handlers.answer(request, UnheardTask())

    def state(self, request: WorkerRequest) -> IndexState:
        reply = self.ask(request)
        assert isinstance(reply, IndexState)
        return reply

    def save(self) -> IndexSaved:
        reply = self.ask(IndexSave(key="k"))
        assert isinstance(reply, IndexSaved)
        return reply

    def open(self, saved: IndexSaved | None = None) -> IndexState:
        file, sha256 = (saved.file, saved.sha256) if saved else ("", "")
        return self.state(
            IndexOpen(key="k", dim=DIM, embedder_id="e1", folder=str(self.folder), file=file, sha256=sha256)
        )

    def add(self, added: Labels, vectors: Floats) -> IndexState:
        return self.state(IndexAdd(key="k", labels=added.tobytes(), vectors=vectors.tobytes()))

    def search(self, k: int, **fields: object) -> tuple[list[int], IndexFound]:
        found = self.ask(IndexSearch(key="k", k=k, **fields))  # type: ignore[arg-type]  # by name
        assert isinstance(found, IndexFound)
        return np.frombuffer(found.labels, dtype=np.int64).tolist(), found


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setattr(index_module, "FLAT_MOST", 30)
    monkeypatch.setattr(index_module, "FLAT_AGAIN", 15)
    return Worker(tmp_path / "index")


def _pairs(*pairs: tuple[int, int]) -> bytes:
    return np.array(pairs, dtype=np.int64).tobytes()


def test_an_index_that_was_not_opened_is_refused(worker: Worker) -> None:
    with pytest.raises(Refusal, match="not open") as caught:
        worker.ask(IndexSave(key="k"))
    assert caught.value.kind == "index"


def test_opening_again_changes_nothing(worker: Worker) -> None:
    worker.open()
    worker.add(labels(5), points(5))
    assert worker.open().live == 5
    worker.ask(IndexClose(key="k"))
    worker.ask(IndexClose(key="k"))
    assert worker.open().live == 0


def test_what_is_saved_is_there_for_the_next_worker(worker: Worker) -> None:
    worker.open()
    state = worker.add(labels(100), points(100))
    assert (state.live, state.waiting) == (100, 100)
    with pytest.raises(Refusal, match="not built"):
        worker.ask(IndexSave(key="k"))
    while state.waiting:
        state = worker.state(IndexBuild(key="k", budget_ms=5))
    worker.ask(IndexRemove(key="k", ranges=_pairs((3, 2), (50, 1))))
    state = worker.state(IndexAdvance(key="k", generation=9))
    assert (state.live, state.deleted, state.unsaved, state.generation) == (97, 3, True, 9)
    saved = worker.save()
    other = Worker(worker.folder)
    state = other.open(saved)
    assert (state.live, state.deleted, state.unsaved, state.generation, state.refused) == (97, 3, False, 9, "")
    assert (
        other.search(97, vector=points(1, seed=2).tobytes())[0]
        == worker.search(97, vector=points(1, seed=2).tobytes())[0]
    )


def test_a_file_that_is_not_what_it_was_is_refused_and_the_index_empty(worker: Worker) -> None:
    worker.open()
    worker.add(labels(100), points(100))
    worker.ask(IndexBuild(key="k", budget_ms=10_000))
    saved = worker.save()
    with (worker.folder / saved.file).open("r+b") as file:
        file.write(b"\xff" * 40)
    state = Worker(worker.folder).open(saved)
    assert (state.live, state.generation) == (0, 0)
    assert "digest" in state.refused


def test_a_folder_that_cannot_be_written_is_refused_with_the_reason(worker: Worker) -> None:
    worker.open()
    worker.add(labels(100), points(100))
    worker.ask(IndexBuild(key="k", budget_ms=10_000))
    worker.folder.write_text("a file in its place")
    with pytest.raises(Refusal, match="File exists"):
        worker.ask(IndexSave(key="k"))
    assert len(worker.search(3, vector=points(1).tobytes())[0]) == 3


def test_ranges_narrow_a_search(worker: Worker) -> None:
    worker.open()
    vectors = points(100)
    worker.add(labels(100), vectors)
    allowed = np.array([2, 3, 4, 90, 91], dtype=np.int64)
    query = points(1, seed=3)
    ranges = _pairs((2, 3), (60, 0), (90, 2))
    found, said = worker.search(4, vector=query.tobytes(), narrow=True, ranges=ranges)
    assert found == nearest(allowed, vectors[allowed - 1], query[0], 4)
    assert said.live == 100
    assert worker.search(4, vector=query.tobytes(), narrow=True, ranges=b"")[0] == []


def test_a_text_is_looked_for_by_its_vector_which_comes_back(worker: Worker) -> None:
    worker.open()
    vectors = points(20)
    worker.add(labels(20), vectors)
    found, said = worker.search(3, text="hello", embedder=EMBEDDER)
    assert said.vector == points(1, seed=7).tobytes()
    assert found == nearest(labels(20), vectors, points(1, seed=7)[0], 3)
    scores = np.frombuffer(said.scores, dtype=np.float32)
    assert np.allclose(scores, np.sort(vectors @ points(1, seed=7)[0])[::-1][:3], atol=1e-6)


def test_vectors_of_another_size_are_refused(worker: Worker) -> None:
    worker.open()
    with pytest.raises(Refusal, match="not 2 vectors"):
        worker.add(labels(2), points(3))
