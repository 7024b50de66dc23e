"""Stored documents: what each holds, where it came from, who may see it.

A document is a source in a collection. Writing one replaces what it held before, whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from agentgw.protocol.calls.documents import DocumentList
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Document
from agentgw_daemon.storage.columns import number_of, optional, text_of
from agentgw_daemon.storage.documents.contents import (
    NewChunk,
    StoredContent,
    Vectors,
    add_content,
    add_member,
    add_vectors,
    find_content,
)
from agentgw_daemon.storage.documents.contents import release as release_contents
from agentgw_daemon.storage.documents.generations import ensure_collection, find_collection, next_generation
from agentgw_daemon.storage.documents.selection import (
    Selection,
    below_range,
    labels_of,
    name_of,
    selection_where,
    shown,
    source_of,
)
from agentgw_daemon.storage.lookup import find_id
from agentgw_daemon.storage.rows import from_cursor, to_cursor
from agentgw_daemon.system.ids import new_id, now

if TYPE_CHECKING:
    from agentgw_daemon.storage.documents.changes import DocumentChanges
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

DEFAULT_COLLECTION: Final = "default"
# Far below SQLite's limit of values in a statement; others get the thread between two batches.
_BATCH: Final = 500

_LABELS: Final = ", ".join(
    "(SELECT json_group_array(CAST(value AS TEXT)) FROM (SELECT value FROM document_labels"
    f" WHERE document = d.n AND kind = '{kind}' ORDER BY value))"
    for kind in ("skill", "tag")
)
_KNOWN: Final = (
    f"SELECT d.name, d.id, k.sha256, k.chunking, k.chunks, d.size_bytes, d.mtime_ns, d.root, {_LABELS}"
    " FROM documents AS d JOIN contents AS k ON k.n = d.content"
)
_LISTED: Final = (
    "SELECT d.n, d.id, d.source, c.name, d.title, d.format, d.size_bytes, k.chunks, k.sha256, d.created_at,"
    f" d.updated_at, {_LABELS} FROM documents AS d"
    " JOIN contents AS k ON k.n = d.content JOIN collections AS c ON c.n = d.collection"
)


@record
class NewDocument:
    """A document as it was read. `source`: an absolute path (bytes that are no UTF-8 as surrogates), or any name.

    `chunking` says how it was cut, so that the same bytes cut in the same way are stored once. `root`: the folder it
    was found in, when it was found in one.
    """

    source: str
    sha256: str
    chunking: str
    title: str
    format: str
    size_bytes: int
    mtime_ns: int | None = None
    root: str | None = None
    collection: str = DEFAULT_COLLECTION
    skills: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@record
class StoredDocument:
    """Result of writing a document."""

    document_id: str
    state: Literal["added", "updated", "unchanged"]
    chunks: int


@record
class KnownDocument:
    """Stored facts about a source."""

    document_id: str
    sha256: str
    chunking: str
    chunks: int
    size_bytes: int
    mtime_ns: int | None
    root: str | None
    skills: tuple[str, ...]
    tags: tuple[str, ...]


@record
class Removed:
    """The number of things that went, or would go."""

    documents: int
    chunks: int


class Documents:
    """The documents in the database."""

    def __init__(self, runner: Runner, changes: DocumentChanges) -> None:
        self._runner = runner
        self._changes = changes

    async def put(self, new: NewDocument, pieces: Sequence[NewChunk], vectors: Vectors | None) -> StoredDocument:
        """Write a document with its chunks and their vectors, in place of what its source held before.

        Content that is stored already is shared, and so are its vectors. Without vectors it is found by its words.
        """

        def do(db: sqlite_utils.Database) -> StoredDocument:
            generation = next_generation(db)
            content = find_content(db, new.sha256, new.chunking)
            if content is None:
                content = add_content(db, new.sha256, new.chunking, new.title, pieces)
            if vectors is not None:
                add_vectors(db, content, vectors, generation)
            return _write(db, new, content, generation)

        stored = await self._runner.write(do)
        self._changes.tell()
        return stored

    async def link(self, new: NewDocument) -> StoredDocument | None:
        """Stores as `put` does, of a content that is stored already; None when it is not."""

        def do(db: sqlite_utils.Database) -> StoredDocument | None:
            content = find_content(db, new.sha256, new.chunking)
            return None if content is None else _write(db, new, content, next_generation(db))

        stored = await self._runner.write(do)
        if stored is not None:
            self._changes.tell()
        return stored

    async def touch(self, collection: str, stamps: Mapping[str, tuple[int, int | None]]) -> None:
        """Note size and time of files whose content is what it was: source to (size_bytes, mtime_ns)."""

        def do(db: sqlite_utils.Database) -> None:
            db.conn.executemany(
                "UPDATE documents SET size_bytes = ?, mtime_ns = ?"
                " WHERE name = ? AND collection = (SELECT n FROM collections WHERE name = ?)",
                [(size, mtime, name_of(source), collection) for source, (size, mtime) in stamps.items()],
            )

        await self._runner.write(do)

    async def relabel(
        self, collection: str, sources: Iterable[str], skills: tuple[str, ...] | None, tags: tuple[str, ...] | None
    ) -> None:
        """Give stored documents other labels; those that are None stay."""
        names = [(name_of(source), collection) for source in sources]
        labels: list[tuple[str, tuple[str, ...]]] = []
        if skills is not None:
            labels.append(("skill", labels_of("skill", skills)))
        if tags is not None:
            labels.append(("tag", labels_of("tag", tags)))
        number = "(SELECT n FROM collections WHERE name = ?)"
        document = f"SELECT n FROM documents WHERE name = ? AND collection = {number}"

        def do(db: sqlite_utils.Database) -> None:
            next_generation(db)
            for kind, values in labels:
                delete = f"DELETE FROM document_labels WHERE document = ({document}) AND kind = '{kind}'"
                db.conn.executemany(delete, names)
                db.conn.executemany(
                    f"INSERT INTO document_labels (document, kind, value) SELECT n, '{kind}', ? FROM ({document})",
                    [(value, *name) for value in values for name in names],
                )

        await self._runner.write(do)

    async def known(self, collection: str, sources: Iterable[str]) -> dict[str, KnownDocument]:
        """Stored facts about these sources."""
        names = [name_of(source) for source in sources]
        found: dict[str, KnownDocument] = {}
        for at in range(0, len(names), _BATCH):
            some = names[at : at + _BATCH]
            condition = f"d.name IN ({', '.join('?' * len(some))})"
            found |= await self._known(collection, condition, some)
        return found

    async def below(self, collection: str, folder: str) -> dict[str, KnownDocument]:
        """Stored facts about the sources below a folder."""
        return await self._known(collection, "d.name >= ? AND d.name < ?", below_range(name_of(folder)))

    async def _known(self, collection: str, condition: str, values: Sequence[bytes]) -> dict[str, KnownDocument]:
        def do(db: sqlite_utils.Database) -> dict[str, KnownDocument]:
            number = find_collection(db, collection)
            rows = db.execute(f"{_KNOWN} WHERE d.collection = ? AND {condition}", (number, *values))
            return {source_of(row[0]): _known_of(row) for row in rows}

        return await self._runner.read(do)

    async def labels(self, kind: Literal["skill", "tag"]) -> frozenset[str]:
        """All that any document is labelled with."""
        sql = "SELECT DISTINCT value FROM document_labels WHERE kind = ?"
        return await self._runner.read(lambda db: frozenset(row[0] for row in db.execute(sql, (kind,))))

    async def list(self, selection: Selection, limit: int = 50, before: str | None = None) -> DocumentList:
        """A page of documents, the last written first. An id of the selection may be a beginning of it."""

        def do(db: sqlite_utils.Database) -> DocumentList:
            # Sorts above every time and every number.
            updated_at, below = from_cursor(before, str, int) if before else ("~", 0)
            where = selection_where(db, _resolved(db, selection))
            rows = db.execute(
                f"{_LISTED} WHERE {where} AND (d.updated_at, d.n) < (?, ?)"
                " ORDER BY d.updated_at DESC, d.n DESC LIMIT ?",
                (*where.values, updated_at, below, limit + 1),
            ).fetchall()
            more = len(rows) > limit
            return DocumentList(
                documents=tuple(_document_of(row) for row in rows[:limit]),
                next=to_cursor(text_of(rows[limit - 1][10]), rows[limit - 1][0]) if more else None,
            )

        return await self._runner.read(do)

    async def remove(self, selection: Selection, *, dry_run: bool = False) -> Removed:
        """Remove documents, and what no other document holds. Raises NotFound for an id that is none.

        The chunks counted are those that can be found no more in their collection.
        """
        if dry_run:
            return await self._runner.read(lambda db: _count(db, _resolved(db, selection)))
        removed = await self._runner.write(lambda db: _remove(db, _resolved(db, selection)))
        if removed.documents:
            self._changes.tell()
        return removed


def _resolved(db: sqlite_utils.Database, selection: Selection) -> Selection:
    """The selection with whole ids."""
    if not selection.ids:
        return selection
    return Selection(
        collection=selection.collection, sources=selection.sources, text=selection.text,
        ids=tuple(find_id(db, "document", one) for one in selection.ids), skills=selection.skills, tags=selection.tags,
    )  # fmt: skip


def _write(db: sqlite_utils.Database, new: NewDocument, content: StoredContent, generation: int) -> StoredDocument:
    """Make the source hold the content, and let go of what it held."""
    collection, name = ensure_collection(db, new.collection), name_of(new.source)
    root = None if new.root is None else name_of(new.root)
    before = db.execute(
        f"SELECT d.n, d.id, d.content, d.title, {_LABELS} FROM documents AS d WHERE d.collection = ? AND d.name = ?",
        (collection, name),
    ).fetchone()
    skills, tags = labels_of("skill", new.skills), labels_of("tag", new.tags)
    if before is not None and _is_same(before, content, new.title, skills, tags):
        n, document_id = before[:2]
        db.execute(
            "UPDATE documents SET size_bytes = ?, mtime_ns = ?, root = ? WHERE n = ?",
            (new.size_bytes, new.mtime_ns, root, n),
        )
        return StoredDocument(document_id=document_id, state="unchanged", chunks=content.chunks)
    at = now()
    n, document_id = db.execute(
        "INSERT INTO documents (id, collection, content, source, name, root, title, format, size_bytes, mtime_ns,"
        " created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (collection, name) DO UPDATE"
        " SET content = excluded.content, root = excluded.root, title = excluded.title, format = excluded.format,"
        " size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns, updated_at = excluded.updated_at"
        " RETURNING n, id",
        (new_id("d"), collection, content.n, shown(new.source), name, root, new.title, new.format, new.size_bytes,
         new.mtime_ns, at, at),
    ).fetchone()  # fmt: skip
    db.execute("DELETE FROM document_labels WHERE document = ?", (n,))
    db.conn.executemany(
        "INSERT INTO document_labels (document, kind, value) VALUES (?, ?, ?)",
        [(n, "skill", value) for value in skills] + [(n, "tag", value) for value in tags],
    )
    add_member(db, collection, content.n, generation)
    if before is not None and before[2] != content.n:
        release_contents(db, {(collection, before[2])}, generation)
    state: Literal["added", "updated"] = "added" if before is None else "updated"
    return StoredDocument(document_id=document_id, state=state, chunks=content.chunks)


def _is_same(
    before: Sequence[Any], content: StoredContent, title: str, skills: tuple[str, ...], tags: tuple[str, ...]
) -> bool:
    labels = tuple(json.loads(before[4])), tuple(json.loads(before[5]))
    return (before[2], before[3], labels) == (content.n, title, (skills, tags))


def _count(db: sqlite_utils.Database, selection: Selection) -> Removed:
    where = selection_where(db, selection)
    documents = db.execute(f"SELECT count(*) FROM documents AS d WHERE {where}", where.values).fetchone()[0]
    chunks = db.execute(
        "SELECT coalesce(sum(k.chunks), 0) FROM contents AS k JOIN ("
        f" SELECT d.collection, d.content, count(*) AS going FROM documents AS d WHERE {where} GROUP BY 1, 2) AS g"
        " ON g.content = k.n WHERE g.going = (SELECT count(*) FROM documents AS o"
        " WHERE o.content = g.content AND o.collection = g.collection)",
        where.values,
    ).fetchone()[0]
    return Removed(documents=documents, chunks=chunks)


def _remove(db: sqlite_utils.Database, selection: Selection) -> Removed:
    where = selection_where(db, selection)
    rows = db.execute(f"SELECT d.n, d.collection, d.content FROM documents AS d WHERE {where}", where.values).fetchall()
    if not rows:
        return Removed(documents=0, chunks=0)
    generation = next_generation(db)
    db.conn.executemany("DELETE FROM documents WHERE n = ?", [row[:1] for row in rows])
    return Removed(documents=len(rows), chunks=release_contents(db, {tuple(row[1:]) for row in rows}, generation))


def _known_of(row: Sequence[Any]) -> KnownDocument:
    return KnownDocument(
        document_id=text_of(row[1]), sha256=text_of(row[2]), chunking=text_of(row[3]), chunks=number_of(row[4]),
        size_bytes=number_of(row[5], -1), mtime_ns=row[6] if isinstance(row[6], int) else None,
        root=optional(source_of, row[7]), skills=tuple(json.loads(row[8])),
        tags=tuple(json.loads(row[9])),
    )  # fmt: skip


def _document_of(row: Sequence[Any]) -> Document:
    return Document(
        document_id=text_of(row[1]), source=text_of(row[2]), collection=text_of(row[3]), title=text_of(row[4]),
        format=text_of(row[5]), size_bytes=number_of(row[6]), chunks=number_of(row[7]), sha256=text_of(row[8]),
        created_at=text_of(row[9]), updated_at=text_of(row[10]), skills=tuple(json.loads(row[11])),
        tags=tuple(json.loads(row[12])),
    )  # fmt: skip
