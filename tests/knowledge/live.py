"""Ingest over a real database and a fake retrieval worker, for the time of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from agentgw.protocol.calls.documents import DocumentIngestParams, IngestResult
from agentgw.protocol.events import DocumentProgress
from agentgw_daemon.config.settings import RagSection
from agentgw_daemon.knowledge.ingest.forbidden import Forbidden
from agentgw_daemon.knowledge.ingest.ingest import Ingest
from agentgw_daemon.knowledge.reembedding import Reembedder
from agentgw_daemon.retrieval.pool import Resolve, Retrieval
from agentgw_daemon.retrieval.spec import RetrievalSettings
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.documents.selection import Selection
from tests.patience import PATIENCE_S
from tests.retrieval.fakeworker import fake_embedder
from tests.workers.retrieval.live import running


class LiveIngest:
    """Database, retrieval, ingest and what embeds anew for a test."""

    def __init__(self, database: Database, retrieval: Retrieval, own: Path) -> None:
        self.database = database
        self.retrieval = retrieval
        self.settings = RagSection()
        self.reembedding = Reembedder(database, retrieval)
        self.ingest = Ingest(
            database, retrieval, Forbidden((own,), {}), lambda: self.settings, on_end=self.reembedding.poke
        )
        self.progress: list[DocumentProgress] = []

    async def take(self, *paths: Path | str, **params: Any) -> IngestResult:
        """Ingest paths; progress is kept."""

        async def tell(progress: DocumentProgress) -> None:
            self.progress.append(progress)

        return await self.ingest.run(DocumentIngestParams(paths=tuple(map(str, paths)), **params), tell)

    async def texts(self, collection: str = "default") -> dict[str, list[str]]:
        """The chunks of each document, by source."""

        def do(db: Any) -> dict[str, list[str]]:
            rows = db.execute(
                "SELECT d.source, c.text FROM documents AS d JOIN contents AS k ON k.n = d.content"
                " LEFT JOIN chunks AS c ON c.content = k.n"
                " WHERE d.collection = (SELECT n FROM collections WHERE name = ?) ORDER BY d.source, c.n",
                (collection,),
            ).fetchall()
            made: dict[str, list[str]] = {}
            for source, text in rows:
                made.setdefault(source, []).extend([] if text is None else [text])
            return made

        return await self.database._thread.read(do)

    async def labels(self, source: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Skills and tags of a document."""
        known = (await self.database.documents.known("default", [source]))[source]
        return known.skills, known.tags

    async def count_vectors(self) -> int:
        """The number of chunks that have a vector."""
        return int(
            await self.database._thread.read(
                lambda db: db.execute("SELECT coalesce(sum(chunks), 0) FROM vectors").fetchone()[0]
            )
        )

    async def count_documents(self) -> int:
        """The number of documents that are stored, on one page."""
        return len((await self.database.documents.list(Selection(), limit=1000)).documents)


@asynccontextmanager
async def live_ingest(
    folder: Path, settings: RetrievalSettings | None = None, resolve: Resolve = fake_embedder
) -> AsyncIterator[LiveIngest]:
    """A database below `folder`/own and what takes documents in."""
    with trio.fail_after(PATIENCE_S):
        async with Database.open(folder / "own") as database, running(settings, resolve) as retrieval:
            yield LiveIngest(database, retrieval, folder / "own")


def fill(root: Path, files: dict[str, str]) -> None:
    """Write files with their folders."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def reasons(result: IngestResult) -> dict[str, str]:
    """The reasons why documents failed, by the last part of their source."""
    return {one.source.rpartition("/")[2]: one.reason for one in result.failed}


def counts(result: IngestResult) -> Sequence[int]:
    """added, updated, unchanged, chunks."""
    return result.added, result.updated, result.unchanged, result.chunks
