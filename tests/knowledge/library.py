"""Documents to search, over a real database, a fake embedder and real vector indexes."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agentgw_daemon.config.settings import RagSection
from agentgw_daemon.knowledge.search.search import Knowledge, open_knowledge
from agentgw_daemon.retrieval.pool import Resolve, Retrieval
from agentgw_daemon.retrieval.spec import RetrievalSettings
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.documents.contents import Vectors
from agentgw_daemon.storage.documents.documents import NewDocument, StoredDocument
from agentgw_daemon.storage.documents.generations import EmbedderIdentity
from agentgw_daemon.workers.protocol import retrieval as wire
from tests.retrieval.fakeworker import EMBEDDER, fake_embedder, packed
from tests.storage.papers import pieces_of
from tests.workers.retrieval.live import running

STORED_BY = EmbedderIdentity(id=EMBEDDER.id, name=EMBEDDER.name, dim=EMBEDDER.dim)


class Library:
    """Database, retrieval and search for a test."""

    def __init__(self, database: Database, retrieval: Retrieval, knowledge: Knowledge, index_dir: Path) -> None:
        self.database = database
        self.retrieval = retrieval
        self.knowledge = knowledge
        self.index_dir = index_dir

    async def put(
        self, source: str, *texts: str, embedder: EmbedderIdentity | None = STORED_BY, **fields: Any
    ) -> StoredDocument:
        """Store a document of these pieces, as ingest would."""
        content = "\n".join(texts)
        values: dict[str, Any] = {
            "sha256": hashlib.sha256(content.encode()).hexdigest(), "chunking": "lines", "title": "", "format": "text",
            "size_bytes": len(content),
        } | fields  # fmt: skip
        vectors = None if embedder is None else Vectors(embedder=embedder, rows=[packed(text) for text in texts])
        return await self.database.documents.put(NewDocument(source=source, **values), pieces_of(*texts), vectors)

    async def found(self, query: str, **fields: Any) -> list[str]:
        """The texts that a search gives."""
        return [chunk.text for chunk in await self.knowledge.search(query, **fields)]


async def find_fake(name: str) -> wire.Embedder:
    """The embedder of this name: there is one."""
    assert name == EMBEDDER.name
    return EMBEDDER


@asynccontextmanager
async def library(
    folder: Path, settings: RetrievalSettings | None = None, resolve: Resolve = fake_embedder
) -> AsyncIterator[Library]:
    """A database and indexes below `folder`."""
    index_dir = folder / "cache" / "index"
    async with (
        Database.open(folder / "data") as database,
        running(settings, resolve) as retrieval,
        open_knowledge(
            database, retrieval, index_dir, settings=lambda: RagSection(top_k=5, min_similarity=0), embedder=find_fake
        ) as knowledge,
    ):
        yield Library(database, retrieval, knowledge, index_dir)
