"""Vectors in the database, and the changes that a vector index has to take over.

An index has the vectors of one embedder in one collection, up to some generation: `added` and `removed` give what came
after it. Removals are applied first: a content that left and came back is in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.documents.contents import StoredContent, Vectors, add_vectors
from agentgw_daemon.storage.documents.generations import (
    COUNTED,
    HOLDS,
    EmbedderIdentity,
    find_collection,
    find_embedder,
    generation_of,
    next_generation,
)

if TYPE_CHECKING:
    from agentgw_daemon.storage.documents.changes import DocumentChanges
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

# More removals than this (ranges, not chunks) are forgotten, and an index that has not seen them is made anew.
MOST_TOMBSTONES: Final = 50_000

# Contents whose vectors go in one transaction: some megabytes of them.
_REMOVED_AT_ONCE: Final = 200

Range = tuple[int, int]  # the first number, and how many

# Of vectors `v` and their content `k`: numbers that are chunks of it. A row that a disk spoilt can count to 2^63, which
# whoever counts with it never ends.
_SOUND: Final = (
    "typeof(v.first_chunk) = 'integer' AND typeof(v.chunks) = 'integer' AND v.chunks > 0"
    " AND v.first_chunk >= k.first_chunk AND v.first_chunk + v.chunks <= k.first_chunk + k.chunks"
)


@record
class IndexFile:
    """The file of an index that may be loaded, and the generation it is up to."""

    file: str
    sha256: str
    generation: int


@record
class IndexTarget:
    """The state against which an index is measured."""

    generation: int
    chunks: int  # with vectors of the embedder, in the collection
    floor: int  # an index older than this has to be made anew
    file: IndexFile | None


@record
class VectorRow:
    """Place of the vectors of consecutive chunks."""

    n: int
    first_chunk: int
    chunks: int


@record
class IndexChanges:
    """Changes of an index up to a generation."""

    generation: int
    removed: tuple[Range, ...]
    added: tuple[VectorRow, ...]


@record
class ToEmbed:
    """A content without vectors of an embedder."""

    content: int
    chunks: tuple[tuple[str, str], ...]  # title path and text


class Embeddings:
    """The vectors in the database."""

    def __init__(self, runner: Runner, changes: DocumentChanges) -> None:
        self._runner = runner
        self._changes = changes

    async def collections(self) -> tuple[str, ...]:
        """The names of the collections that hold anything."""
        sql = f"SELECT c.name FROM collections AS c WHERE {HOLDS} ORDER BY c.name"
        return await self._runner.read(lambda db: tuple(row[0] for row in db.execute(sql)))

    async def state(self, collection: str, embedder_id: str) -> IndexTarget:
        """The content that an index of this collection has to have at this moment."""

        def do(db: sqlite_utils.Database) -> IndexTarget:
            number, embedder = find_collection(db, collection), find_embedder(db, embedder_id)
            if number is None or embedder is None:
                return IndexTarget(generation=generation_of(db), chunks=0, floor=0, file=None)
            floor = db.execute("SELECT floor FROM collections WHERE n = ?", (number,)).fetchone()[0]
            chunks = db.execute(
                "SELECT coalesce(sum(k.chunks), 0) FROM members AS m JOIN contents AS k ON k.n = m.content"
                " JOIN embeddings AS e ON e.content = m.content AND e.embedder = ?"
                f" WHERE m.collection = ? AND {COUNTED}",
                (embedder, number),
            ).fetchone()[0]
            row = db.execute(
                "SELECT file, sha256, generation FROM index_files WHERE collection = ? AND embedder = ?",
                (number, embedder),
            ).fetchone()
            file = None if row is None else IndexFile(file=row[0], sha256=row[1], generation=row[2])
            return IndexTarget(generation=generation_of(db), chunks=chunks, floor=floor, file=file)

        return await self._runner.read(do)

    async def generation(self) -> int:
        """The generation now."""
        return await self._runner.read(generation_of)

    async def delta(self, collection: str, embedder_id: str, after: int) -> IndexChanges:
        """The changes of an index after a generation."""

        def do(db: sqlite_utils.Database) -> IndexChanges:
            number, embedder = find_collection(db, collection), find_embedder(db, embedder_id)
            removed = db.execute(
                "SELECT first_chunk, chunks FROM tombstones WHERE collection = ? AND generation > ?"
                " AND typeof(first_chunk) = 'integer' AND typeof(chunks) = 'integer' ORDER BY n",
                (number, after),
            ).fetchall()
            added = db.execute(
                "SELECT v.n, v.first_chunk, v.chunks FROM members AS m JOIN vectors AS v"
                " ON v.embedder = ?1 AND v.content = m.content JOIN contents AS k ON k.n = m.content"
                f" WHERE {_SOUND} AND m.collection = ?2 AND m.content IN"
                " (SELECT content FROM members WHERE collection = ?2 AND generation > ?3"
                "  UNION SELECT content FROM embeddings WHERE embedder = ?1 AND generation > ?3)"
                " ORDER BY v.first_chunk",
                (embedder, number, after),
            ).fetchall()
            return IndexChanges(
                generation=generation_of(db),
                removed=tuple((row[0], row[1]) for row in removed),
                added=tuple(VectorRow(n=row[0], first_chunk=row[1], chunks=row[2]) for row in added),
            )

        return await self._runner.read(do)

    async def vectors(self, rows: Sequence[VectorRow]) -> tuple[tuple[VectorRow, bytes], ...]:
        """The vectors of a few rows, `chunks` times one vector's bytes each; without those that were removed since, and
        those of other lengths.
        """
        sql = (
            "SELECT v.vectors FROM vectors AS v JOIN embedders AS b ON b.n = v.embedder"
            " WHERE v.n = ? AND typeof(v.vectors) = 'blob' AND length(v.vectors) = ? * b.dim * 4"
        )

        def do(db: sqlite_utils.Database) -> tuple[tuple[VectorRow, bytes], ...]:
            found = []
            for row in rows:
                blob = db.execute(sql, (row.n, row.chunks)).fetchone()
                if blob is not None:
                    found.append((row, blob[0]))
            return tuple(found)

        return await self._runner.read(do)

    async def saved(self, collection: str, embedder_id: str, file: IndexFile) -> None:
        """Makes this the index's file; what it has seen removed is forgotten."""

        def do(db: sqlite_utils.Database) -> None:
            number, embedder = find_collection(db, collection), find_embedder(db, embedder_id)
            if number is None or embedder is None:
                return  # replaced by a backup while the file was written
            db.execute(
                "INSERT OR REPLACE INTO index_files (collection, embedder, file, sha256, generation)"
                " VALUES (?, ?, ?, ?, ?)",
                (number, embedder, file.file, file.sha256, file.generation),
            )
            _forget(db, number, file.generation)

        await self._runner.write(do)

    async def unsaved(self, collection: str, embedder_id: str) -> None:
        """Forgets the file of this index: none may be loaded any more."""
        await self._runner.write(
            lambda db: db.execute(
                "DELETE FROM index_files WHERE collection = (SELECT n FROM collections WHERE name = ?)"
                " AND embedder = (SELECT n FROM embedders WHERE id = ?)",
                (collection, embedder_id),
            )
        )

    async def files(self) -> frozenset[str]:
        """The names of all files that may be loaded."""
        sql = "SELECT file FROM index_files"
        return await self._runner.read(lambda db: frozenset(row[0] for row in db.execute(sql)))

    async def large(self, least: int) -> tuple[tuple[str, EmbedderIdentity], ...]:
        """Collections with vectors of at least so many chunks by an embedder."""
        sql = (
            "SELECT c.name, b.id, b.name, b.dim FROM members AS m JOIN embeddings AS e ON e.content = m.content"
            " JOIN contents AS k ON k.n = m.content JOIN collections AS c ON c.n = m.collection"
            " JOIN embedders AS b ON b.n = e.embedder AND typeof(b.dim) = 'integer'"
            f" WHERE {COUNTED} GROUP BY c.n, b.n HAVING sum(k.chunks) >= ?"
        )
        return await self._runner.read(
            lambda db: tuple(
                (row[0], EmbedderIdentity(id=row[1], name=row[2], dim=row[3])) for row in db.execute(sql, (least,))
            )
        )

    async def trim(self) -> None:
        """Forget removals where they pile up, for want of an index that was saved since."""

        def do(db: sqlite_utils.Database) -> None:
            rows = db.execute("SELECT collection, count(*) FROM tombstones GROUP BY collection").fetchall()
            for number, count in rows:
                if count > MOST_TOMBSTONES:
                    _forget(db, number, generation_of(db))

        await self._runner.write(do)

    async def missing(self, embedder_id: str, most: int, behind: int = 0) -> tuple[ToEmbed, ...]:
        """At most so many contents, numbered above `behind`, that have no vectors of this embedder."""

        def do(db: sqlite_utils.Database) -> tuple[ToEmbed, ...]:
            embedder = find_embedder(db, embedder_id)
            rows = db.execute(
                "SELECT k.n FROM contents AS k WHERE k.n > ? AND NOT EXISTS"
                " (SELECT 1 FROM embeddings WHERE embedder = ? AND content = k.n) ORDER BY k.n LIMIT ?",
                (behind, embedder, most),
            ).fetchall()
            texts = (
                "SELECT c.title_path, c.text FROM contents AS k JOIN chunks AS c ON c.n >= k.first_chunk"
                " AND c.n < k.first_chunk + k.chunks WHERE k.n = ? ORDER BY c.n"
            )
            return tuple(ToEmbed(content=n, chunks=tuple(db.execute(texts, (n,)))) for (n,) in rows)

        return await self._runner.read(do)

    async def count_missing(self, embedder_id: str) -> int:
        """The number of chunks that have no vectors of this embedder."""
        return await self._runner.read(
            lambda db: int(
                db.execute(
                    f"SELECT coalesce(sum(k.chunks), 0) FROM contents AS k WHERE {COUNTED} AND NOT EXISTS"
                    " (SELECT 1 FROM embeddings"
                    " WHERE embedder = (SELECT n FROM embedders WHERE id = ?) AND content = k.n)",
                    (embedder_id,),
                ).fetchone()[0]
            )
        )

    async def add(self, content: int, vectors: Vectors) -> bool:
        """Write the vectors of a content; False when it has them, or is gone by now."""

        def do(db: sqlite_utils.Database) -> bool:
            row = db.execute("SELECT first_chunk, chunks FROM contents WHERE n = ?", (content,)).fetchone()
            if row is None:
                return False
            found = StoredContent(n=content, first_chunk=row[0], chunks=row[1])
            return add_vectors(db, found, vectors, next_generation(db))

        added = await self._runner.write(do)
        if added:
            self._changes.tell()
        return added

    async def keep_only(self, embedder_id: str) -> tuple[str, ...]:
        """Remove the vectors of all other embedders; the names of their index files, which may go too.

        Some at a time: others get the database in between. Cut off in the middle, the rest goes the next time.
        """
        others = "SELECT n FROM embedders WHERE id != ?"

        def some(db: sqlite_utils.Database) -> bool:
            rows = db.execute(
                f"SELECT embedder, content FROM embeddings WHERE embedder IN ({others}) LIMIT ?",
                (embedder_id, _REMOVED_AT_ONCE),
            ).fetchall()
            for table in ("vectors", "embeddings"):
                db.conn.executemany(f"DELETE FROM {table} WHERE embedder = ? AND content = ?", rows)
            return bool(rows)

        def rest(db: sqlite_utils.Database) -> tuple[str, ...]:
            rows = db.execute(f"SELECT file FROM index_files WHERE embedder IN ({others})", (embedder_id,))
            files = tuple(row[0] for row in rows)
            # Nobody refers to an embedder but these; one that wrote something a moment ago stays.
            gone = f"{others} AND n NOT IN (SELECT embedder FROM embeddings)"
            db.execute(f"DELETE FROM index_files WHERE embedder IN ({others})", (embedder_id,))
            db.execute(f"DELETE FROM embedders WHERE n IN ({gone})", (embedder_id,))
            return files

        while await self._runner.write(some):
            pass
        return await self._runner.write(rest)


def _forget(db: sqlite_utils.Database, collection: int, generation: int) -> None:
    db.execute("DELETE FROM tombstones WHERE collection = ? AND generation <= ?", (collection, generation))
    db.execute("UPDATE collections SET floor = max(floor, ?) WHERE n = ?", (generation, collection))
