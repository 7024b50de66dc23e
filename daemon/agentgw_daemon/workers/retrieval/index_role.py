"""The vector indexes of a worker in the role `search`: what its requests do. They run one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from agentgw_daemon.system.memory import give_back
from agentgw_daemon.workers.protocol.index import (
    NOT_OPEN,
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
from agentgw_daemon.workers.protocol.retrieval import Embed, Embedded
from agentgw_daemon.workers.retrieval.handlers import Handlers, Refusal, RequestTask
from agentgw_daemon.workers.retrieval.index.index import Index
from agentgw_daemon.workers.retrieval.index.index_file import IndexIdentity, Unfit, load, save
from agentgw_daemon.workers.retrieval.index.index_flat import Floats, Labels


class Open:
    """An open index, and what its files are of."""

    def __init__(self, index: Index, identity: IndexIdentity, folder: Path, refused: str = "") -> None:
        self.index: Final = index
        self.identity: Final = identity
        self.folder: Final = folder
        self.refused: Final = refused


class Indexes:
    """Indexes of this process, by key."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers: Final = handlers
        self._open: Final[dict[str, Open]] = {}

    def open(self, request: IndexOpen, _task: RequestTask) -> IndexState:
        """Open one, unless it is."""
        found = self._open.get(request.key)
        if found is not None and found.identity.dim == request.dim:
            return _state(found)
        identity = IndexIdentity(key=request.key, dim=request.dim, embedder_id=request.embedder_id)
        folder, refused, index = Path(request.folder), "", None
        if request.file:
            try:
                graph, generation = load(folder, request.file, request.sha256, identity)
                index = Index(request.dim, graph=graph, generation=generation)
                give_back()
            except Unfit as unfit:
                refused = str(unfit)
        if index is None:
            index = Index(request.dim, expected=request.expected)
        made = self._open[request.key] = Open(index, identity, folder, refused)
        return _state(made)

    def add(self, request: IndexAdd, _task: RequestTask) -> IndexState:
        """Add vectors."""
        found = self._found(request.key)
        labels = _labels(request.labels)
        found.index.add(labels, _vectors(request.vectors, found.index.dim, len(labels)))
        return _state(found)

    def remove(self, request: IndexRemove, _task: RequestTask) -> IndexState:
        """Remove vectors."""
        found = self._found(request.key)
        found.index.remove(_expanded(request.ranges))
        return _state(found)

    def advance(self, request: IndexAdvance, _task: RequestTask) -> IndexState:
        """Note the generation."""
        found = self._found(request.key)
        found.index.generation = request.generation
        return _state(found)

    def build(self, request: IndexBuild, _task: RequestTask) -> IndexState:
        """Build for a while."""
        found = self._found(request.key)
        found.index.build(request.budget_ms / 1000)
        state = _state(found)
        if not state.waiting:
            # The vectors that waited were in memory twice for a while, a little at a time.
            give_back()
        return state

    def save(self, request: IndexSave, _task: RequestTask) -> IndexSaved:
        """Write a file."""
        found = self._found(request.key)
        index = found.index
        if index.graph is None or index.waiting:
            raise Refusal("index", "it is not built yet")
        try:
            file, sha256 = save(found.folder, found.identity, index.graph, index.generation)
        except OSError as error:
            raise Refusal("index", error.strerror or str(error)) from error
        index.note_saved()
        return IndexSaved(file=file, sha256=sha256, generation=index.generation)

    def close(self, request: IndexClose, _task: RequestTask) -> IndexState:
        """Forget one."""
        self._open.pop(request.key, None)
        return IndexState(generation=0, live=0, deleted=0, waiting=0, unsaved=False)

    def search(self, request: IndexSearch, task: RequestTask) -> IndexFound:
        """Find the nearest."""
        found = self._found(request.key)
        vector = request.vector
        if request.embedder is not None:
            embedded = self._handlers.answer(
                Embed(embedder=request.embedder, texts=(request.text,), prompt=request.embedder.query_prompt), task
            )
            assert isinstance(embedded, Embedded)
            vector = embedded.vectors
        [query] = _vectors(vector, found.index.dim, 1)
        allowed = _expanded(request.ranges) if request.narrow else None
        labels, scores = found.index.search(query, request.k, allowed)
        return IndexFound(
            labels=labels.astype("<i8").tobytes(), scores=scores.astype("<f4").tobytes(), vector=vector,
            generation=found.index.generation, live=len(found.index),
        )  # fmt: skip

    def _found(self, key: str) -> Open:
        found = self._open.get(key)
        if found is None:
            raise Refusal("index", NOT_OPEN)
        return found


def add_to(handlers: Handlers) -> None:
    """Adds the requests that a worker with indexes answers; their own Embed gives it the vectors of texts."""
    indexes = Indexes(handlers)
    handlers.add(IndexOpen, indexes.open)
    handlers.add(IndexAdd, indexes.add)
    handlers.add(IndexRemove, indexes.remove)
    handlers.add(IndexAdvance, indexes.advance)
    handlers.add(IndexBuild, indexes.build)
    handlers.add(IndexSave, indexes.save)
    handlers.add(IndexClose, indexes.close)
    handlers.add(IndexSearch, indexes.search)


def _state(found: Open) -> IndexState:
    index = found.index
    return IndexState(
        generation=index.generation, live=len(index), deleted=index.deleted, waiting=index.waiting,
        unsaved=index.unsaved, refused=found.refused,
    )  # fmt: skip


def _labels(sent: bytes) -> Labels:
    return np.frombuffer(sent, dtype="<i8").astype(np.int64)


def _vectors(sent: bytes, dim: int, count: int) -> Floats:
    if len(sent) != count * dim * 4:
        raise Refusal("index", f"{len(sent)} bytes are not {count} vectors of {dim} dimensions")
    return np.frombuffer(sent, dtype="<f4").astype(np.float32).reshape(count, dim)


def _expanded(sent: bytes) -> Labels:
    """The labels of ranges, in their order."""
    pairs = _labels(sent).reshape(-1, 2)
    firsts, counts = pairs[:, 0], pairs[:, 1]
    before = np.cumsum(counts) - counts
    made: Labels = np.repeat(firsts - before, counts) + np.arange(counts.sum())
    return made
