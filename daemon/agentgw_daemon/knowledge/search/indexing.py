"""Vector indexes that the search worker holds for the daemon.

The database is what counts: an index lives in the worker and is lost with it, and its file is a cache. One task an
index follows the changes, from when it was first searched or has become large. A search does not wait for it long: a
vector is found from the moment it was handed over.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from agentgw_daemon.knowledge.search.following import Follower, FollowerParts
from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.retrieval.results import IndexFailed
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.protocol.index import IndexFound, IndexSearch

if TYPE_CHECKING:
    from agentgw_daemon.retrieval.pool import Retrieval
    from agentgw_daemon.storage.database import Database
    from agentgw_daemon.storage.documents.generations import EmbedderIdentity
    from agentgw_daemon.storage.documents.visible import Allowed

# Time that a search waits for vectors that are not in the index yet; then it goes on with those that are.
PATIENCE_S: Final = 1.5
# Documents are written one after another; they are handed over together.
_TOGETHER_S: Final = 0.3
# An index of so many vectors is made without being asked for: who searches first should not wait for it.
_LARGE: Final = 10_000
_LOOK_FOR_LARGE_S: Final = 30.0


class Indexing:
    """The indexes; their tasks run in the nursery it was handed."""

    def __init__(self, database: Database, retrieval: Retrieval, folder: Path, nursery: trio.Nursery) -> None:
        self._parts = FollowerParts(database=database, retrieval=retrieval, folder=folder)
        self._nursery = nursery
        self._followers: dict[tuple[str, str], Follower] = {}

    async def search(
        self, collection: str, embedder: EmbedderIdentity, *, generation: int, k: int, allowed: Allowed,
        query: bytes | tuple[wire.Embedder, str],
    ) -> tuple[IndexFound, bool]:  # fmt: skip
        """The k nearest, and whether everything up to a generation was looked at.

        The query is a vector, or a text with what embeds it. Raises IndexFailed and what `Retrieval.index` raises.
        """
        follower = self._follower(collection, embedder)
        text, by = ("", None) if isinstance(query, bytes) else (query[1], query[0])
        request = IndexSearch(
            key=follower.key, k=k, vector=query if isinstance(query, bytes) else b"", text=text, embedder=by,
            narrow=not allowed.whole, ranges=b"" if allowed.whole else allowed.packed(),
        )  # fmt: skip
        complete = await follower.wait_reached(generation, PATIENCE_S)
        try:
            return await self._parts.retrieval.index(request, IndexFound, urgent=True), complete
        except IndexFailed:
            # The worker is another one than the index was handed to.
            follower.lose()
        complete = await follower.wait_reached(generation, PATIENCE_S)
        return await self._parts.retrieval.index(request, IndexFound, urgent=True), complete

    async def follow(self) -> None:
        """Hand changes over as they come, for ever."""
        database, look_at = self._parts.database, trio.current_time()
        change = database.changes.next
        while True:
            await change.wait()
            await trio.sleep(_TOGETHER_S)
            change = database.changes.next
            if self._parts.retrieval.has_worker("search"):
                # Otherwise there is nothing to keep up to date, and no reason to start one.
                for follower in self._followers.values():
                    follower.wake()
            if trio.current_time() >= look_at:
                look_at = trio.current_time() + _LOOK_FOR_LARGE_S
                # A database that cannot be used now may be usable at the next change.
                await supervised("looking for large indexes", self._wake_large)

    async def _wake_large(self) -> None:
        embeddings = self._parts.database.embeddings
        await embeddings.trim()
        for collection, embedder in await embeddings.large(_LARGE):
            self._follower(collection, embedder).wake()

    def _follower(self, collection: str, embedder: EmbedderIdentity) -> Follower:
        found = self._followers.get((collection, embedder.id))
        if found is None:
            found = self._followers[collection, embedder.id] = Follower(self._parts, collection, embedder)
            self._nursery.start_soon(supervised, f"following the index of {collection}", found.run)
        return found


@asynccontextmanager
async def open_indexing(database: Database, retrieval: Retrieval, folder: Path) -> AsyncIterator[Indexing]:
    """The indexes, followed until the block is left."""
    async with trio.open_nursery() as nursery:
        indexing = Indexing(database, retrieval, folder, nursery)
        nursery.start_soon(supervised, "following changes", indexing.follow)
        yield indexing
        nursery.cancel_scope.cancel()
