"""Contents: what documents hold, stored once however many hold it. Functions on the database, inside a transaction.

A content is a file's bytes (by sha256) cut in one way (`chunking`). It lives as long as a document holds it, with its
chunks, their words in the full-text index, and their vectors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.documents.generations import EmbedderIdentity, ensure_embedder, take_chunk_numbers
from agentgw_daemon.storage.words.tables import add_words, remove_words
from agentgw_daemon.workers.protocol.footprint import FLOAT_BYTES

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

# Vectors are read by the hundred and written with their document. A row of these is about 100 kB.
_VECTORS_IN_A_ROW: Final = 64


class NewChunk(Protocol):
    """A chunk to be; lines count from 1, bytes from 0, `last_byte` is the first behind it."""

    @property
    def text(self) -> str:
        """The text of the chunk."""

    @property
    def title_path(self) -> str:
        """The headings above it."""

    @property
    def first_line(self) -> int:
        """The number of the chunk's first line."""

    @property
    def last_line(self) -> int:
        """The number of the chunk's last line."""

    @property
    def first_byte(self) -> int:
        """The byte at which it begins."""

    @property
    def last_byte(self) -> int:
        """The byte at which it ends."""

    @property
    def tokens(self) -> int:
        """The length of the chunk in tokens of the embedder."""


@record
class Vectors:
    """One vector a piece: little-endian float32 of unit length, `dim` * 4 bytes each."""

    embedder: EmbedderIdentity
    rows: Sequence[bytes]


@record
class StoredContent:
    """A stored content and the numbers of its chunks."""

    n: int
    first_chunk: int
    chunks: int


def find_content(db: sqlite_utils.Database, sha256: str, chunking: str) -> StoredContent | None:
    """The content of these bytes cut in this way, if it is stored."""
    row = db.execute(
        "SELECT n, first_chunk, chunks FROM contents WHERE sha256 = ? AND chunking = ?", (sha256, chunking)
    ).fetchone()
    return None if row is None else StoredContent(n=row[0], first_chunk=row[1], chunks=row[2])


def add_content(
    db: sqlite_utils.Database, sha256: str, chunking: str, title: str, pieces: Sequence[NewChunk]
) -> StoredContent:
    """Write a content that is not stored yet, with its words."""
    first = take_chunk_numbers(db, len(pieces))
    n = db.execute(
        "INSERT INTO contents (sha256, chunking, title, first_chunk, chunks) VALUES (?, ?, ?, ?, ?) RETURNING n",
        (sha256, chunking, title, first, len(pieces)),
    ).fetchone()[0]
    db.conn.executemany(
        "INSERT INTO chunks (n, content, text, title_path, first_line, last_line, first_byte, last_byte, tokens)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (first + at, n, one.text, one.title_path, one.first_line, one.last_line, one.first_byte, one.last_byte,
             one.tokens)
            for at, one in enumerate(pieces)
        ),
    )  # fmt: skip
    add_words(db, first, first + len(pieces))
    return StoredContent(n=n, first_chunk=first, chunks=len(pieces))


def add_vectors(db: sqlite_utils.Database, content: StoredContent, vectors: Vectors, generation: int) -> bool:
    """Write the vectors of a content; False when it has them already."""
    embedder, rows, size = ensure_embedder(db, vectors.embedder), vectors.rows, vectors.embedder.dim * FLOAT_BYTES
    assert len(rows) == content.chunks, f"{len(rows)} vectors of {content.chunks} chunks"
    assert all(len(row) == size for row in rows), f"a vector that is not {size} bytes"
    added = db.execute(
        "INSERT INTO embeddings (embedder, content, generation) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (embedder, content.n, generation),
    )
    if added.rowcount == 0:
        return False
    db.conn.executemany(
        "INSERT INTO vectors (embedder, content, first_chunk, chunks, vectors) VALUES (?, ?, ?, ?, ?)",
        (
            (embedder, content.n, content.first_chunk + at, len(some := rows[at : at + _VECTORS_IN_A_ROW]),
             b"".join(some))
            for at in range(0, len(rows), _VECTORS_IN_A_ROW)
        ),
    )  # fmt: skip
    return True


def add_member(db: sqlite_utils.Database, collection: int, content: int, generation: int) -> None:
    """Make a content one of a collection's; nothing changes where it is."""
    db.execute(
        "INSERT INTO members (collection, content, generation) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (collection, content, generation),
    )


def release(db: sqlite_utils.Database, left: Collection[tuple[int, int]], generation: int) -> int:
    """See to (collection, content) pairs that a document let go of.

    Content that no document of the collection holds any more leaves it, and what none holds anywhere is deleted.
    Gives how many chunks left their collections.
    """
    held = "SELECT 1 FROM documents WHERE content = ?"
    gone = 0
    for collection, content in sorted(left):
        if db.execute(f"{held} AND collection = ? LIMIT 1", (content, collection)).fetchone() is not None:
            continue
        first, count = db.execute("SELECT first_chunk, chunks FROM contents WHERE n = ?", (content,)).fetchone()
        gone += count
        db.execute("DELETE FROM members WHERE collection = ? AND content = ?", (collection, content))
        if count:
            db.execute(
                "INSERT INTO tombstones (collection, generation, first_chunk, chunks) VALUES (?, ?, ?, ?)",
                (collection, generation, first, count),
            )
    for content in sorted({content for _, content in left}):
        if db.execute(f"{held} LIMIT 1", (content,)).fetchone() is None:
            _delete(db, content)
    return gone


def _delete(db: sqlite_utils.Database, content: int) -> None:
    first, count = db.execute("SELECT first_chunk, chunks FROM contents WHERE n = ?", (content,)).fetchone()
    remove_words(db, first, first + count)
    db.execute("DELETE FROM chunks WHERE n >= ? AND n < ?", (first, first + count))
    db.execute("DELETE FROM contents WHERE n = ?", (content,))
