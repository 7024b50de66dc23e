"""Finding chunks: by meaning (vectors) and by words (BM25) at the same time, joined by their ranks.

Without an embedder that made vectors here, words alone are searched, and the notice says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.errors import NotFound
from agentgw.protocol.schema import record
from agentgw.protocol.types import Chunk
from agentgw_daemon.knowledge.search.fusion import fuse
from agentgw_daemon.knowledge.search.indexing import Indexing, open_indexing
from agentgw_daemon.knowledge.search.nearest import Nearest, choose, nearest
from agentgw_daemon.knowledge.search.snippets import snippet
from agentgw_daemon.storage.documents.folding import Term, terms_of
from agentgw_daemon.storage.documents.selection import Filter

if TYPE_CHECKING:
    from agentgw_daemon.config.settings import RagSection
    from agentgw_daemon.retrieval.pool import Retrieval
    from agentgw_daemon.storage.database import Database
    from agentgw_daemon.storage.documents.chunks import ChunkRow, Scope
    from agentgw_daemon.workers.protocol import retrieval as wire

# Ranks below this say little, and texts that occur twice need some to choose from.
_LEAST_DEPTH: Final = 50
_DEPTH_PER_CHUNK: Final = 3
_MOST_ROUNDS: Final = 4


@record
class SearchFindings:
    """Findings of a search, the best first; `notice` says what it could not do."""

    chunks: tuple[Chunk, ...]
    notice: str | None = None


@record
class _Query:
    text: str
    terms: tuple[Term, ...]
    wanted: Filter
    embedder: wire.Embedder | None


class Knowledge:
    """The user's documents, to be searched."""

    def __init__(
        self, database: Database, retrieval: Retrieval, indexing: Indexing, *, settings: Callable[[], RagSection],
        embedder: Callable[[str], Awaitable[wire.Embedder]],
    ) -> None:  # fmt: skip
        self._database = database
        self._retrieval = retrieval
        self._indexing = indexing
        self._settings = settings
        self._embedder = embedder

    async def is_empty(self) -> bool:
        """Tells whether there are no documents."""
        return not await self._database.embeddings.collections()

    async def search(
        self, query: str, *, k: int | None = None, collection: str | None = None, skills: Sequence[str] = (),
        tags: Sequence[str] = (),
    ) -> tuple[Chunk, ...]:  # fmt: skip
        """The chunks as `find` gives them, without the notice."""
        return (await self.find(query, k=k, collection=collection, skills=skills, tags=tags)).chunks

    async def find(
        self, query: str, *, k: int | None = None, collection: str | None = None, skills: Sequence[str] = (),
        tags: Sequence[str] = (),
    ) -> SearchFindings:  # fmt: skip
        """The k best chunks: never fewer while the filters let so many different ones through.

        `skills`: only what any of these sees, which is what is labelled with it and what has no skill at all; `tags`:
        only documents with any of these. Raises NotFound for a collection that does not exist, ModelUnavailable when
        there is no embedder and nothing to search without one.
        """
        wanted = Filter(collection=collection, skills=tuple(skills), tags=tuple(tags))
        scope = await self._database.chunks.scope(wanted)
        choice = await choose(scope, self._retrieval.embedder, self._embedder)
        if not scope.collections:
            return await self._nothing(collection)
        asked = _Query(text=query, terms=terms_of(query), wanted=wanted, embedder=choice.embedder)
        chunks, notice = await self._look(asked, scope, self._settings().top_k if k is None else k)
        return SearchFindings(chunks=chunks, notice=choice.notice or notice)

    async def _nothing(self, collection: str | None) -> SearchFindings:
        names = await self._database.embeddings.collections()
        if collection is not None and collection not in names:
            hint = f"there are: {', '.join(names)}" if names else "`agentgw ingest PATH` makes the first one"
            raise NotFound(f"no collection {collection}", hint=hint, kind="collection", id=collection)
        if not names:
            return SearchFindings(chunks=(), notice="there are no documents yet: `agentgw ingest PATH` takes them in")
        return SearchFindings(chunks=())

    async def _look(self, query: _Query, scope: Scope, k: int) -> tuple[tuple[Chunk, ...], str | None]:
        """Look deeper while what was found says the same several times."""
        depth, vector = max(_LEAST_DEPTH, _DEPTH_PER_CHUNK * k), b""
        for _ in range(_MOST_ROUNDS):
            near, by_words = await self._ask(query, scope, vector, depth)
            vector = near.vector
            fused = fuse([order for order in (near.numbers, by_words) if order])[:depth]
            rows = await self._read_different([n for n, _ in fused], query.wanted, k)
            chunks = _chunks(rows, dict(fused), near.similarities, query.terms, k)
            if len(chunks) >= k or max(len(near.numbers), len(by_words)) < depth:
                break
            depth *= 4
        return chunks, near.notice

    async def _read_different(self, numbers: Sequence[int], wanted: Filter, k: int) -> list[ChunkRow]:
        """The first of these chunks, with so many different texts if they have them."""
        rows: list[ChunkRow] = []
        for at in range(0, len(numbers), 2 * k):
            rows += await self._database.chunks.read(numbers[at : at + 2 * k], wanted)
            if len({row.text for row in rows}) >= k:
                break
        return rows

    async def _ask(self, query: _Query, scope: Scope, vector: bytes, depth: int) -> tuple[Nearest, tuple[int, ...]]:
        """Asks by meaning and by words, at the same time."""
        near = Nearest()
        words: tuple[int, ...] = ()

        async def by_meaning(embedder: wire.Embedder) -> None:
            nonlocal near
            near = await nearest(self._indexing, scope, embedder, query.text, vector, depth)

        async def by_words() -> None:
            nonlocal words
            found = await self._database.chunks.by_words(query.terms, depth, query.wanted)
            words = tuple(match.n for match in found)

        async with trio.open_nursery() as nursery:
            if query.embedder is not None:
                nursery.start_soon(by_meaning, query.embedder)
            if query.terms:
                nursery.start_soon(by_words)
        return near, words


def _chunks(
    rows: Sequence[ChunkRow], scores: Mapping[int, float], similarities: Mapping[int, float], terms: Sequence[Term],
    k: int,
) -> tuple[Chunk, ...]:  # fmt: skip
    """The chunks that a client is given: k texts, each once, with all sources that have it."""
    firsts: dict[str, ChunkRow] = {}
    sources: dict[str, list[str]] = {}
    for row in rows:
        firsts.setdefault(row.text, row)
        sources.setdefault(row.text, []).extend(held.source for held in row.held_by)
    made = []
    for text, row in islice(firsts.items(), k):
        first, others = row.held_by[0], dict.fromkeys(sources[text])
        others.pop(first.source)
        made.append(
            Chunk(
                document_id=first.document_id, source=first.source, text=text, score=scores[row.n],
                title_path=row.title_path, lines=(row.first_line, row.last_line), snippet=snippet(text, terms),
                similarity=similarities.get(row.n), also_in=tuple(others) or None,
            )
        )  # fmt: skip
    return tuple(made)


@asynccontextmanager
async def open_knowledge(
    database: Database, retrieval: Retrieval, index_dir: Path, *, settings: Callable[[], RagSection],
    embedder: Callable[[str], Awaitable[wire.Embedder]],
) -> AsyncIterator[Knowledge]:  # fmt: skip
    """The documents, with their vector indexes kept up to date until the block is left.

    `embedder` finds one by its name; index files lie in `index_dir`, which may be removed at any time.
    """
    async with open_indexing(database, retrieval, index_dir) as indexing:
        yield Knowledge(database, retrieval, indexing, settings=settings, embedder=embedder)
