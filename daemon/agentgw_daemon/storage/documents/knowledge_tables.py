"""The tables of documents, chunks and vectors, as their migration makes them; see `migrations`."""

from __future__ import annotations

from typing import Final

# A chunk's number is its label in every vector index and is never given twice, so a removed chunk is never mistaken
# for a later one. `generation` grows with every change of what is searched: an index that is up to some generation
# needs what came after it. The chunks of a content have consecutive numbers, and so do those of a row of vectors.
KNOWLEDGE: Final = (
    "CREATE TABLE knowledge (generation INTEGER NOT NULL, next_chunk INTEGER NOT NULL)",
    "INSERT INTO knowledge VALUES (0, 1)",
    # Before its generation `floor` a collection has forgotten what was removed.
    "CREATE TABLE collections (n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, floor INTEGER NOT NULL DEFAULT 0)",
    "CREATE TABLE embedders (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, dim INTEGER NOT NULL)",
    """CREATE TABLE contents (
        n INTEGER PRIMARY KEY,
        sha256 TEXT NOT NULL,
        chunking TEXT NOT NULL,
        title TEXT NOT NULL,
        first_chunk INTEGER NOT NULL,
        chunks INTEGER NOT NULL,
        UNIQUE (sha256, chunking)
    )""",
    # No reference to the content: deleting one would look through all chunks for what the caller knows by number.
    """CREATE TABLE chunks (
        n INTEGER PRIMARY KEY,
        content INTEGER NOT NULL,
        text TEXT NOT NULL,
        title_path TEXT NOT NULL,
        first_line INTEGER NOT NULL,
        last_line INTEGER NOT NULL,
        first_byte INTEGER NOT NULL,
        last_byte INTEGER NOT NULL,
        tokens INTEGER NOT NULL
    )""",
    """CREATE VIEW chunk_words AS SELECT chunks.n AS n, chunks.text AS text,
        contents.title || ' ' || chunks.title_path AS heading
        FROM chunks JOIN contents ON contents.n = chunks.content""",
    """CREATE VIRTUAL TABLE chunks_fts USING fts5 (
        text, heading, content='chunk_words', content_rowid='n', tokenize="unicode61 remove_diacritics 2"
    )""",
    """CREATE TABLE documents (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        collection INTEGER NOT NULL REFERENCES collections (n),
        content INTEGER NOT NULL REFERENCES contents (n),
        source TEXT NOT NULL,
        name BLOB NOT NULL,
        root BLOB,
        title TEXT NOT NULL,
        format TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        mtime_ns INTEGER,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        UNIQUE (collection, name)
    )""",
    "CREATE INDEX documents_by_content ON documents (content, collection)",
    "CREATE INDEX documents_by_use ON documents (updated_at, n)",
    """CREATE TABLE document_labels (
        document INTEGER NOT NULL REFERENCES documents (n) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (document, kind, value)
    ) WITHOUT ROWID""",
    "CREATE INDEX document_labels_by_value ON document_labels (kind, value)",
    """CREATE TABLE members (
        collection INTEGER NOT NULL REFERENCES collections (n),
        content INTEGER NOT NULL REFERENCES contents (n) ON DELETE CASCADE,
        generation INTEGER NOT NULL,
        PRIMARY KEY (collection, content)
    ) WITHOUT ROWID""",
    "CREATE INDEX members_by_content ON members (content)",
    "CREATE INDEX members_by_generation ON members (collection, generation)",
    """CREATE TABLE embeddings (
        embedder INTEGER NOT NULL REFERENCES embedders (n),
        content INTEGER NOT NULL REFERENCES contents (n) ON DELETE CASCADE,
        generation INTEGER NOT NULL,
        PRIMARY KEY (embedder, content)
    ) WITHOUT ROWID""",
    "CREATE INDEX embeddings_by_content ON embeddings (content)",
    "CREATE INDEX embeddings_by_generation ON embeddings (embedder, generation)",
    # A listed row is read later: its number must not by then be another row's.
    """CREATE TABLE vectors (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        embedder INTEGER NOT NULL REFERENCES embedders (n),
        content INTEGER NOT NULL REFERENCES contents (n) ON DELETE CASCADE,
        first_chunk INTEGER NOT NULL,
        chunks INTEGER NOT NULL,
        vectors BLOB NOT NULL
    )""",
    "CREATE INDEX vectors_by_content ON vectors (content, embedder)",
    """CREATE TABLE tombstones (
        n INTEGER PRIMARY KEY,
        collection INTEGER NOT NULL REFERENCES collections (n),
        generation INTEGER NOT NULL,
        first_chunk INTEGER NOT NULL,
        chunks INTEGER NOT NULL
    )""",
    "CREATE INDEX tombstones_by_generation ON tombstones (collection, generation)",
    # The one file of each index that may be loaded; the text of a hash is what makes it this one.
    """CREATE TABLE index_files (
        collection INTEGER NOT NULL REFERENCES collections (n),
        embedder INTEGER NOT NULL REFERENCES embedders (n),
        file TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        generation INTEGER NOT NULL,
        PRIMARY KEY (collection, embedder)
    ) WITHOUT ROWID""",
)

# A folder can be followed into several collections. Lists are JSON; labels that are null are left as they are.
WATCHED: Final = (
    """CREATE TABLE watched (
        path BLOB NOT NULL,
        collection TEXT NOT NULL,
        skills TEXT NOT NULL,
        tags TEXT NOT NULL,
        exclude TEXT NOT NULL,
        chunk_size INTEGER,
        since TEXT NOT NULL,
        PRIMARY KEY (path, collection)
    ) WITHOUT ROWID""",
)
