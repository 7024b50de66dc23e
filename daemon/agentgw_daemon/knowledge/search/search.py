"""Finding chunks: by meaning (vectors) and by words (BM25) at the same time, joined by their scores.

Without an embedder that made vectors here, words alone are searched, and the notice says so. It says too when nothing
has a word of the query, or a phrase that it demands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.errors import NotFound
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Chunk
from agentgw_daemon.knowledge.search.fusion import fuse, spread
from agentgw_daemon.knowledge.search.indexing import Indexing, open_indexing
from agentgw_daemon.knowledge.search.nearest import Nearest, choose, nearest, similarities_of
from agentgw_daemon.knowledge.search.snippets import snippet
from agentgw_daemon.knowledge.search.wording import Wording
from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.storage.documents.chunks import MOST_HELD
from agentgw_daemon.storage.documents.finding import WordsFound
from agentgw_daemon.storage.documents.selection import Filter
from agentgw_daemon.storage.words.terms import Terms, terms_of

if TYPE_CHECKING:
    from agentgw_daemon.config.settings import RagSection
    from agentgw_daemon.retrieval.pool import Retrieval
    from agentgw_daemon.storage.database import Database
    from agentgw_daemon.storage.documents.chunks import ChunkRow, Scope
    from agentgw_daemon.storage.words.scoring import WordMatch, WordWeights
    from agentgw_daemon.workers.protocol import retrieval as wire

_NO_WORD: Final = "no document has a word of the query: these are only near in meaning"
_NOTHING_NEAR: Final = "no document has a word of the query or is near to it in meaning"
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
class _Looked:
    """Findings of one look, and whether there were no vectors to compare with."""

    findings: SearchFindings
    lost: bool


@record
class _Query:
    text: str
    terms: Terms
    wanted: Filter
    embedder: wire.Embedder | None


class Knowledge:
    """The user's documents, to be searched."""

    def __init__(
        self, database: Database, retrieval: Retrieval, indexing: Indexing, wording: Wording, *,
        settings: Callable[[], RagSection], embedder: Callable[[str], Awaitable[wire.Embedder]],
    ) -> None:  # fmt: skip
        self._database = database
        self._retrieval = retrieval
        self._indexing = indexing
        self._wording = wording
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
        tags: Sequence[str] = (), demanding: bool = True,
    ) -> SearchFindings:  # fmt: skip
        """The k best chunks: never fewer while the filters let so many different ones through that have to do with it.

        `skills`: only what any of these sees, which is what is labelled with it and what has no skill at all; `tags`:
        only documents with any of these; `demanding`: only chunks with the phrases that stand in quotes. Raises
        NotFound for a collection that does not exist, ModelUnavailable when there is no embedder and nothing to search
        without one.
        """
        wanted = Filter(collection=collection, skills=tuple(skills), tags=tuple(tags))
        terms, k = terms_of(query, demanding=demanding), self._settings().top_k if k is None else k
        scope = await self._database.chunks.scope(wanted)
        while True:
            choice = await choose(scope, self._retrieval.embedder, self._embedder)
            if not scope.collections:
                return await self._nothing(collection)
            asked = _Query(text=query, terms=terms, wanted=wanted, embedder=choice.embedder)
            looked = await self._look(asked, scope, k)
            before, scope = scope, await self._database.chunks.scope(wanted) if looked.lost else scope
            # The last vectors of an embedder go when another one has seen everything, which may be now.
            if scope.embedders == before.embedders:
                return dataclasses.replace(
                    looked.findings, notice=choice.notice or self._wording.notice or looked.findings.notice
                )

    async def _nothing(self, collection: str | None) -> SearchFindings:
        names = await self._database.embeddings.collections()
        if collection is not None and collection not in names:
            hint = f"there are: {', '.join(names)}" if names else "`agentgw ingest PATH` makes the first one"
            raise NotFound(f"no collection {collection}", hint=hint, kind="collection", id=collection)
        if not names:
            return SearchFindings(chunks=(), notice="there are no documents yet: `agentgw ingest PATH` takes them in")
        return SearchFindings(chunks=())

    async def _look(self, query: _Query, scope: Scope, k: int) -> _Looked:
        """Look deeper while what was found says the same several times."""
        depth, vector = max(_LEAST_DEPTH, _DEPTH_PER_CHUNK * k), b""
        for _ in range(_MOST_ROUNDS):
            near, by_words = await self._ask(query, scope, vector, depth)
            vector = near.vector
            matches, similarities = await self._complete(query, scope, near, by_words)
            similarities, remark = _telling(query.terms, matches, similarities, self._settings().min_similarity)
            scored = fuse(matches, similarities)
            fused = spread(scored, await self._database.chunks.contents([n for n, _ in scored]))
            rows = await self._read_different([n for n, _ in fused], query.wanted, k)
            chunks = _chunks(rows, dict(fused), similarities, query.terms, k)
            # What lacks a phrase is never given, however near it is.
            deepest = 0 if query.terms.phrases else len(near.numbers)
            if len(chunks) >= k or not fused or max(deepest, len(by_words.matches)) < depth:
                break
            depth *= 4
        return _Looked(findings=SearchFindings(chunks=chunks, notice=near.notice or remark), lost=near.lost)

    async def _read_different(self, numbers: Sequence[int], wanted: Filter, k: int) -> list[ChunkRow]:
        """The first of these chunks, with so many different texts if they have them."""
        rows: list[ChunkRow] = []
        for at in range(0, len(numbers), 2 * k):
            rows += await self._database.chunks.read(numbers[at : at + 2 * k], wanted)
            if len({row.text for row in rows}) >= k:
                break
        return rows

    async def _ask(self, query: _Query, scope: Scope, vector: bytes, depth: int) -> tuple[Nearest, WordsFound]:
        """Asks by meaning and by words, at the same time."""
        near, words = Nearest(), WordsFound()

        async def by_meaning(embedder: wire.Embedder) -> None:
            nonlocal near
            near = await nearest(self._indexing, scope, embedder, query.text, vector, depth)

        async def by_words() -> None:
            nonlocal words
            words = await self._database.chunks.by_words(query.terms, depth, query.wanted)

        async with trio.open_nursery() as nursery:
            if query.embedder is not None:
                nursery.start_soon(by_meaning, query.embedder)
            if query.terms:
                nursery.start_soon(by_words)
        return near, words

    async def _complete(
        self, query: _Query, scope: Scope, near: Nearest, words: WordsFound
    ) -> tuple[tuple[WordMatch, ...], Mapping[int, float]]:
        """All that was found by words and by meaning, each with what the other side says of it."""
        found, similarities = {match.n for match in words.matches}, dict(near.similarities)
        unweighed = [n for n in similarities if n not in found]
        uncompared = [n for n in found if n not in similarities]
        more: tuple[WordMatch, ...] = ()

        async def weigh(weights: WordWeights) -> None:
            nonlocal more
            more = await self._database.chunks.weigh(unweighed, weights, query.wanted)

        async def compare(embedder: wire.Embedder) -> None:
            similarities.update(await similarities_of(self._indexing, scope, embedder, near.vector, uncompared))

        async with trio.open_nursery() as nursery:
            if unweighed and words.weights is not None:
                nursery.start_soon(weigh, words.weights)
            if uncompared and near.similarities and query.embedder is not None:
                nursery.start_soon(compare, query.embedder)
        return (*words.matches, *more), similarities


def _telling(
    terms: Terms, by_words: Sequence[WordMatch], similarities: Mapping[int, float], least: float
) -> tuple[Mapping[int, float], str | None]:
    """The similarities of what may be given, and what is to be said of it."""
    if terms.phrases:
        found = {match.n for match in by_words}
        if not found:
            quoted = " ".join(f'"{phrase.text}"' for phrase in terms.phrases)
            return {}, f"no document has the phrase {quoted}"
        return {n: near for n, near in similarities.items() if n in found}, None
    if by_words or not terms or not similarities:
        return similarities, None
    if max(similarities.values()) < least:
        return {}, _NOTHING_NEAR
    return similarities, _NO_WORD


def _chunks(
    rows: Sequence[ChunkRow], scores: Mapping[int, float], similarities: Mapping[int, float], terms: Terms, k: int,
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
                # Zeros are compared with nothing.
                similarity=similarities.get(row.n) or None, also_in=tuple(islice(others, MOST_HELD)) or None,
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
    wording = Wording(database)
    async with open_indexing(database, retrieval, index_dir) as indexing, trio.open_nursery() as nursery:
        nursery.start_soon(supervised, "making the index of words", wording.run)
        yield Knowledge(database, retrieval, indexing, wording, settings=settings, embedder=embedder)
        nursery.cancel_scope.cancel()
