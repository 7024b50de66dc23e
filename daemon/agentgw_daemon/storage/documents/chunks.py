"""Chunks: found by their words, narrowed by filters, read for an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.columns import number_of, text_of
from agentgw_daemon.storage.documents.finding import View, WordsFound, find, weigh_others
from agentgw_daemon.storage.documents.generations import HOLDS, EmbedderIdentity, generation_of
from agentgw_daemon.storage.documents.selection import Filter, visible_where
from agentgw_daemon.storage.documents.visible import Allowed, Visibility
from agentgw_daemon.storage.words.scoring import WordMatch, WordWeights
from agentgw_daemon.storage.words.tables import make_more, missing
from agentgw_daemon.storage.words.terms import Terms

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

# Documents that are named of those that hold a chunk. An empty form or a licence may be in any number of files.
MOST_HELD: Final = 100


@record
class Scope:
    """Collections to search, with what the filter lets through of each, at a generation.

    `embedders`: those that made vectors, the one with the most contents first; `partial`: the ids of those of several
    that have not seen everything.
    """

    generation: int
    collections: dict[str, Allowed]
    embedders: tuple[EmbedderIdentity, ...]
    partial: frozenset[str] = frozenset()


@record
class Held:
    """A document that holds a chunk."""

    document_id: str
    source: str


@record
class ChunkRow:
    """A chunk with the documents that hold it and may be seen, by source: some of them where they are many."""

    n: int
    text: str
    title_path: str
    first_line: int
    last_line: int
    held_by: tuple[Held, ...]


class Chunks:
    """The chunks in the database."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._visibility = Visibility()

    async def scope(self, wanted: Filter) -> Scope:
        """The scope of a filter. Collections without anything that may be seen are left out."""

        def do(db: sqlite_utils.Database) -> Scope:
            names = [row[0] for row in db.execute(
                f"SELECT c.name FROM collections AS c WHERE {HOLDS} AND (?1 IS NULL OR c.name = ?1) ORDER BY c.name",
                (wanted.collection,),
            )]  # fmt: skip
            allowed = {name: self._visibility.of(db, name, wanted) for name in names}
            embedders = db.execute(
                # One alone needs no count.
                "SELECT b.id, b.name, b.dim FROM embedders AS b ORDER BY CASE WHEN (SELECT count(*) FROM embedders) > 1"
                " THEN (SELECT count(*) FROM embeddings AS e WHERE e.embedder = b.n) END DESC, b.n DESC"
            ).fetchall()
            partial = (
                db.execute(
                    "SELECT b.id FROM embedders AS b WHERE EXISTS (SELECT 1 FROM contents AS k WHERE k.chunks > 0 AND"
                    " NOT EXISTS (SELECT 1 FROM embeddings AS e WHERE e.embedder = b.n AND e.content = k.n))"
                ).fetchall()
                if len(embedders) > 1
                else ()
            )
            return Scope(
                generation=generation_of(db),
                collections={name: some for name, some in allowed.items() if len(some)},
                embedders=tuple(
                    EmbedderIdentity(id=text_of(row[0]), name=text_of(row[1]), dim=number_of(row[2]))
                    for row in embedders
                ),
                partial=frozenset(text_of(row[0]) for row in partial),
            )

        return await self._runner.read(do)

    async def by_words(self, query: Terms, most: int, wanted: Filter) -> WordsFound:
        """At most so many chunks with any of the terms and all that was quoted, the best first."""
        return await self._runner.read(lambda db: find(db, query, most, self._view(db, wanted)))

    async def weigh(self, numbers: Sequence[int], weights: WordWeights, wanted: Filter) -> tuple[WordMatch, ...]:
        """Chunks found in another way, by their words; those that have none are left out."""
        return await self._runner.read(lambda db: weigh_others(db, numbers, weights, self._view(db, wanted)))

    async def contents(self, numbers: Sequence[int]) -> dict[int, int]:
        """The contents that these chunks are of; of those that are gone nothing."""
        marks = ", ".join("?" * len(numbers))
        sql = f"SELECT n, content FROM chunks WHERE n IN ({marks})"
        return await self._runner.read(lambda db: dict(db.execute(sql, list(numbers)).fetchall()))

    def _view(self, db: sqlite_utils.Database, wanted: Filter) -> View:
        rows = db.execute(f"SELECT c.n, c.name FROM collections AS c WHERE {HOLDS}").fetchall()
        chosen = [(n, name) for n, name in rows if wanted.collection in (None, name)]
        allowed = [self._visibility.of(db, name, wanted) for _, name in chosen]
        everything = len(chosen) == len(rows) and all(one.whole for one in allowed)
        return View(
            chunks=None if everything else _joined(allowed),
            documents=tuple(visible_where(n, wanted) for n, _ in chosen),
            total=self._visibility.total(db),
        )

    async def make_words(self, most: int) -> int:
        """Add the words of at most so many chunks that the index lacks; gives how many it lacks then."""
        return await self._runner.write(lambda db: make_more(db, most))

    async def without_words(self) -> int:
        """The number of chunks that the index of words lacks."""
        return await self._runner.read(missing)

    async def read(self, numbers: Sequence[int], wanted: Filter) -> tuple[ChunkRow, ...]:
        """The chunks of these ids, in their order, without those that are gone or that the filter leaves out."""

        def do(db: sqlite_utils.Database) -> tuple[ChunkRow, ...]:
            collections = [row[0] for row in db.execute(
                "SELECT n FROM collections WHERE ?1 IS NULL OR name = ?1", (wanted.collection,)
            )]  # fmt: skip
            rows = (_row(db, n, collections, wanted) for n in numbers)
            return tuple(row for row in rows if row is not None)

        return await self._runner.read(do)


def _joined(allowed: Sequence[Allowed]) -> Allowed:
    """The union of what each of them allows."""
    if len(allowed) == 1:
        return allowed[0]
    # One content may be in several collections.
    return Allowed(sorted({one for some in allowed for one in some.ranges}))


def _row(db: sqlite_utils.Database, n: int, collections: Sequence[int], wanted: Filter) -> ChunkRow | None:
    chunk = db.execute(
        "SELECT content, text, title_path, first_line, last_line FROM chunks WHERE n = ?", (n,)
    ).fetchone()
    if chunk is None:
        return None
    held: list[Held] = []
    for collection in collections:
        where = visible_where(collection, wanted)
        where.add("d.content = ?", chunk[0])
        rows = db.execute(
            f"SELECT d.id, d.source FROM documents AS d WHERE {where} ORDER BY d.source LIMIT ?",
            (*where.values, MOST_HELD),
        )
        held += [Held(document_id=text_of(row[0]), source=text_of(row[1])) for row in rows]
    if not held:
        return None
    return ChunkRow(
        n=n, text=text_of(chunk[1]), title_path=text_of(chunk[2]), first_line=number_of(chunk[3], 1),
        last_line=number_of(chunk[4], 1),
        held_by=tuple(held),
    )  # fmt: skip
