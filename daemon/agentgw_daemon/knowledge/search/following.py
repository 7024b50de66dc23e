"""One vector index in the search worker, followed to what the database has. See `indexing`."""

from __future__ import annotations

import hashlib
import logging
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.errors import RpcError
from agentgw.protocol.records.schema import record
from agentgw_daemon.observability.log import log_unexpected
from agentgw_daemon.retrieval.results import IndexFailed
from agentgw_daemon.storage.documents.embeddings import IndexChanges, IndexFile, VectorRow
from agentgw_daemon.workers.protocol.index import (
    IndexAdd,
    IndexAdvance,
    IndexBuild,
    IndexClose,
    IndexOpen,
    IndexRemove,
    IndexSave,
    IndexSaved,
    IndexState,
)

if TYPE_CHECKING:
    from agentgw_daemon.retrieval.pool import Retrieval
    from agentgw_daemon.storage.database import Database
    from agentgw_daemon.storage.documents.generations import EmbedderIdentity

log = logging.getLogger(__name__)

# Vectors handed over at a time: under a megabyte at 384 dimensions, milliseconds of the daemon's time.
_HANDED_OVER: Final = 512
# A search that comes while the index is built waits no longer than this.
_BUILD_MS: Final = 25.0
# Saving holds the worker up for half a second at 100,000 vectors: it waits for so long a silence, though not for ever.
_QUIET_S: Final = 3.0
_SAVE_AT_LATEST_S: Final = 120.0
_TRY_AGAIN_S: Final = 60.0
# Vectors that a file lacks are handed over when it is opened, which is quick: fewer changes than this are not worth
# writing it.
_CHANGES_WORTH_A_FILE: Final = 1_000
_CHANGED_SHARE: Final = 0.02


@record
class FollowerParts:
    """Parts that a follower works with. Files lie in `folder`, which may go at any time."""

    database: Database
    retrieval: Retrieval
    folder: Path


class Follower:
    """Follows while `run` runs. `reached` is the generation up to which everything was handed over."""

    def __init__(self, parts: FollowerParts, collection: str, embedder: EmbedderIdentity) -> None:
        self.collection: Final = collection
        self.embedder: Final = embedder
        self.key: Final = hashlib.sha256(f"{collection}\0{embedder.id}".encode()).hexdigest()[:16]
        self.reached = -1
        self.searched_at = -_QUIET_S
        self._parts = parts
        self._wake = trio.Event()
        self._moved = trio.Event()
        self._replaced = parts.database.changes.replaced
        self._changes = 0
        self._saved_file = False
        self._unsaved_since: float | None = None
        self._save_after = 0.0

    def wake(self) -> None:
        """Have the follower look at the database."""
        self._wake.set()

    def lose(self) -> None:
        """Marks what the worker holds as gone, or not the database's: it is opened anew."""
        self.reached = -1

    async def wait_reached(self, generation: int, patience_s: float) -> bool:
        """Waits until everything up to a generation was handed over; False when that takes longer, or cannot
        be done.
        """
        self.searched_at = trio.current_time()
        if self.reached >= generation and not self._is_replaced():
            return True
        with trio.move_on_after(patience_s):
            # Woken twice without getting there, it cannot.
            for _ in range(2):
                moved = self._moved
                self.wake()
                await moved.wait()
                if self.reached >= generation:
                    return True
        return False

    def _is_replaced(self) -> bool:
        """Tells whether a backup took the database's place since it was opened."""
        return self._replaced != self._parts.database.changes.replaced

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            self._wake = trio.Event()
            try:
                state = await self._catch_up()
                self._tell()
                await self._settle(state)
            except Exception as error:  # noqa: BLE001 - supervision point: whoever searches goes on without it
                # The next search or change tries again; until then there is nothing to be done.
                if isinstance(error, RpcError | IndexFailed):
                    log.warning("the index of %s is not up to date: %s", self.collection, error)
                else:
                    log_unexpected(log, error, f"following the index of {self.collection}")
                self.lose()
                self._tell()
            await self._wake.wait()

    def _tell(self) -> None:
        self._moved.set()
        self._moved = trio.Event()

    async def _catch_up(self) -> IndexState:
        """Hand over all that changed. Raises RpcError and IndexFailed."""
        if self.reached < 0 or self._is_replaced():
            await self._open()
        delta = await self._parts.database.embeddings.delta(self.collection, self.embedder.id, self.reached)
        return await self._hand_over(delta)

    async def _open(self) -> None:
        self._replaced = self._parts.database.changes.replaced
        embeddings = self._parts.database.embeddings
        state = await embeddings.state(self.collection, self.embedder.id)
        file = state.file if state.file is not None and state.file.generation >= state.floor else None
        # An index that lives on from before may be of a database that is no more.
        await self._ask(IndexClose(key=self.key))
        opened = await self._ask(
            IndexOpen(
                key=self.key, dim=self.embedder.dim, embedder_id=self.embedder.id, folder=str(self._parts.folder),
                file=file.file if file else "", sha256=file.sha256 if file else "", expected=state.chunks,
            )
        )  # fmt: skip
        if opened.refused:
            log.warning("the index file of %s is made anew: %s", self.collection, opened.refused)
        self.reached = opened.generation
        self._changes, self._saved_file = 0, file is not None and not opened.refused

    async def _hand_over(self, delta: IndexChanges) -> IndexState:
        if delta.removed:
            await self._ask(IndexRemove(key=self.key, ranges=_pairs(delta.removed)))
        for rows in _batches(delta.added):
            found = await self._parts.database.embeddings.vectors(rows)
            labels, vectors = _numbers(row for row, _ in found), b"".join(blob for _, blob in found)
            await self._ask(IndexAdd(key=self.key, labels=labels, vectors=vectors))
        state = await self._ask(IndexAdvance(key=self.key, generation=delta.generation))
        self.reached = delta.generation
        self._changes += sum(count for _, count in delta.removed) + sum(row.chunks for row in delta.added)
        return state

    async def _settle(self, state: IndexState) -> None:
        """Build in what waits, then save; a change comes first."""
        while state.waiting and not self._wake.is_set():
            before = state.deleted
            state = await self._ask(IndexBuild(key=self.key, budget_ms=_BUILD_MS))
            if state.deleted < before:
                self._saved_file = False
        if state.waiting or not self._is_worth_saving(state):
            return
        now = trio.current_time()
        self._unsaved_since = self._unsaved_since if self._unsaved_since is not None else now
        while (
            quiet_at := self.searched_at + _QUIET_S
        ) > now - _QUIET_S and now < self._unsaved_since + _SAVE_AT_LATEST_S:
            with trio.move_on_at(max(quiet_at, now + _QUIET_S)):
                await self._wake.wait()
                return
            now = trio.current_time()
        try:
            await self._save()
        except (RpcError, IndexFailed, OSError) as error:
            # A full disk, say. The index is as good as it was.
            log.warning("the index of %s is not saved: %s", self.collection, error)
            self._save_after = trio.current_time() + _TRY_AGAIN_S

    def _is_worth_saving(self, state: IndexState) -> bool:
        enough = max(_CHANGES_WORTH_A_FILE, _CHANGED_SHARE * state.live)
        worth = not self._saved_file or self._changes >= enough
        return state.unsaved and worth and trio.current_time() >= self._save_after

    async def _save(self) -> None:
        saved = await self._parts.retrieval.index(IndexSave(key=self.key), IndexSaved)
        file = IndexFile(file=saved.file, sha256=saved.sha256, generation=saved.generation)
        embeddings = self._parts.database.embeddings
        await embeddings.saved(self.collection, self.embedder.id, file)
        self._changes, self._saved_file, self._unsaved_since = 0, True, None
        kept = await embeddings.files()
        await trio.to_thread.run_sync(tidy, self._parts.folder, kept)

    async def _ask(
        self, request: IndexAdd | IndexAdvance | IndexBuild | IndexClose | IndexOpen | IndexRemove
    ) -> IndexState:
        return await self._parts.retrieval.index(request, IndexState)


def tidy(folder: Path, kept: frozenset[str]) -> None:
    """Remove the files of indexes that may not be loaded any more, and what a kill left half written."""
    stems = {name.removesuffix(".hnsw") for name in kept}
    for suffix in (".hnsw", ".json", ".tmp"):
        for path in folder.glob(f"*{suffix}"):
            if path.name.split(".", 1)[0] not in stems or suffix == ".tmp":
                path.unlink(missing_ok=True)


def _batches(rows: Sequence[VectorRow]) -> Iterator[list[VectorRow]]:
    batch: list[VectorRow] = []
    count = 0
    for row in rows:
        batch.append(row)
        count += row.chunks
        if count >= _HANDED_OVER:
            yield batch
            batch, count = [], 0
    if batch:
        yield batch


def _numbers(rows: Iterator[VectorRow]) -> bytes:
    made = array("q")
    for row in rows:
        made.extend(range(row.first_chunk, row.first_chunk + row.chunks))
    return made.tobytes()


def _pairs(ranges: Sequence[tuple[int, int]]) -> bytes:
    return array("q", [number for one in ranges for number in one]).tobytes()
