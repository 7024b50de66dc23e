"""Generations, collections and embedders, by which documents, vectors and indexes count. Functions on the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentgw.protocol.records.schema import record

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

# Condition on `collections AS c`. A list of all members would be as long as there are documents, at every search.
HOLDS: Final = "EXISTS (SELECT 1 FROM members AS m WHERE m.collection = c.n)"
# Condition on `contents AS k`: they have chunks, of numbers to count with. A disk may leave others in a row.
COUNTED: Final = (
    "typeof(k.first_chunk) = 'integer' AND typeof(k.chunks) = 'integer' AND k.chunks BETWEEN 1 AND 2147483647"
)


@record
class EmbedderIdentity:
    """Maker of vectors; `id` is the identity of its weights and of how they are used."""

    id: str
    name: str
    dim: int


# The counters again, from what was counted by them.
_GENERATIONS: Final = " UNION ALL ".join(
    f"SELECT generation AS last FROM {table}" for table in ("members", "embeddings", "tombstones", "index_files")
)
_CHUNKS: Final = " UNION ALL ".join(
    f"SELECT first_chunk + chunks AS last FROM {table}" for table in ("contents", "vectors", "tombstones")
)


def generation_of(db: sqlite_utils.Database) -> int:
    """The generation now."""
    return _counter(db, "generation", _GENERATIONS, least=0)


def next_generation(db: sqlite_utils.Database) -> int:
    """Begin a new generation, for a change that is about to be written."""
    generation = generation_of(db) + 1
    db.execute("UPDATE knowledge SET generation = ?", (generation,))
    return generation


def take_chunk_numbers(db: sqlite_utils.Database, count: int) -> int:
    """The first of so many consecutive numbers that no chunk ever had."""
    first = _counter(db, "next_chunk", _CHUNKS, least=1)
    db.execute("UPDATE knowledge SET next_chunk = ?", (first + count,))
    return first


def _counter(db: sqlite_utils.Database, column: str, counted: str, *, least: int) -> int:
    """The counter; where a disk left something else in its place, a number that is larger than all that it gave.

    Without it every search fails, and with it every turn that looks for documents.
    """
    value = db.execute(f"SELECT {column} FROM knowledge").fetchone()[0]
    if isinstance(value, int):
        return value
    last = db.execute(f"SELECT max(last) FROM ({counted}) WHERE typeof(last) = 'integer'").fetchone()[0]
    return max(least, last or 0)


def find_collection(db: sqlite_utils.Database, name: str) -> int | None:
    """The number of a collection, if it exists."""
    row = db.execute("SELECT n FROM collections WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def ensure_collection(db: sqlite_utils.Database, name: str) -> int:
    """The number of a collection; it is made when it does not exist."""
    db.execute("INSERT INTO collections (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
    return int(db.execute("SELECT n FROM collections WHERE name = ?", (name,)).fetchone()[0])


def find_embedder(db: sqlite_utils.Database, embedder_id: str) -> int | None:
    """The number of an embedder, if it made any vectors."""
    row = db.execute("SELECT n FROM embedders WHERE id = ?", (embedder_id,)).fetchone()
    return None if row is None else int(row[0])


def ensure_embedder(db: sqlite_utils.Database, embedder: EmbedderIdentity) -> int:
    """The number of an embedder; it is written down when it is new."""
    db.execute(
        "INSERT INTO embedders (id, name, dim) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET dim = excluded.dim"
        " WHERE typeof(dim) <> 'integer'",
        (embedder.id, embedder.name, embedder.dim),
    )
    n, dim = db.execute("SELECT n, dim FROM embedders WHERE id = ?", (embedder.id,)).fetchone()
    assert dim == embedder.dim, f"{embedder.id} made vectors of {dim} dimensions"
    return int(n)
