"""Index of words: its tables, how it is filled and filled anew.

FTS5 is given the words as `folding` makes them, through functions of ours that its views and triggers call, and parts
them at spaces alone. By other rules than the index was made by it would not know what it holds: it is emptied then, and
filled from the chunks in steps. Chunks that it lacks meanwhile are those from `next` on, up to `behind`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from agentgw_daemon.storage.words.folding import SIGNS, VERSION, marked, name_tokens, tokens

if TYPE_CHECKING:
    import sqlite3

    from agentgw_daemon.storage.sqlite.library import sqlite_utils

# Chunks that are made anew before the database is used: some tenths of a second.
_AT_ONCE: Final = 1_000

_TOKENS: Final = f"""tokenize="ascii tokenchars '{SIGNS}'\""""

WORDS: Final = (
    "DROP TABLE chunks_fts",
    """CREATE VIEW chunk_tokens AS SELECT chunks.n AS n, tokens_of(CAST(chunks.text AS BLOB)) AS text,
        tokens_of(CAST(contents.title || ' ' || chunks.title_path AS BLOB)) AS heading,
        marks_of(CAST(chunks.text AS BLOB)) AS marks
        FROM chunks JOIN contents ON contents.n = chunks.content""",
    f"""CREATE VIRTUAL TABLE chunks_fts USING fts5 (
        text, heading, marks, content='chunk_tokens', content_rowid='n', {_TOKENS}
    )""",
    "CREATE VIEW document_tokens AS SELECT n, name_tokens_of(CAST(source AS BLOB)) AS name FROM documents",
    f"CREATE VIRTUAL TABLE names_fts USING fts5 (name, content='document_tokens', content_rowid='n', {_TOKENS})",
    """CREATE TRIGGER names_added AFTER INSERT ON documents BEGIN
        INSERT INTO names_fts (rowid, name) VALUES (new.n, name_tokens_of(CAST(new.source AS BLOB)));
    END""",
    """CREATE TRIGGER names_removed AFTER DELETE ON documents BEGIN
        INSERT INTO names_fts (names_fts, rowid, name)
        VALUES ('delete', old.n, name_tokens_of(CAST(old.source AS BLOB)));
    END""",
    "CREATE TABLE words_made (version TEXT NOT NULL, next INTEGER NOT NULL, behind INTEGER NOT NULL)",
    "INSERT INTO words_made VALUES ('', 0, 0)",
)


def add_functions(connection: sqlite3.Connection) -> None:
    """Make the functions known that the views and triggers call. They take bytes or NULL: rotted text is text."""

    def add(name: str, words: Callable[[str], Sequence[str]]) -> None:
        def run(data: bytes | None) -> str:
            return " ".join(words((data or b"").decode("utf-8", "replace")))

        connection.create_function(name, 1, run, deterministic=True)

    add("tokens_of", tokens)
    add("marks_of", marked)
    add("name_tokens_of", name_tokens)


def begin_anew(db: sqlite_utils.Database) -> None:
    """Empty the index where it was made by other rules, and fill it at once where that takes no time.

    Else `make_more` fills it.
    """
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'words_made'").fetchone() is None:
        return
    noted = db.execute("SELECT version, typeof(next), typeof(behind) FROM words_made").fetchall()
    # What is noted otherwise, or not at all, has rotted and says nothing of the index.
    if noted == [(VERSION, "integer", "integer")]:
        return
    db.execute("INSERT INTO chunks_fts (chunks_fts) VALUES ('delete-all')")
    db.execute("INSERT INTO names_fts (names_fts) VALUES ('rebuild')")
    db.execute("DELETE FROM words_made")
    db.execute(
        "INSERT INTO words_made (version, next, behind)"
        " SELECT ?, coalesce(min(n), 0), coalesce(max(n) + 1, 0) FROM chunks",
        (VERSION,),
    )
    make_more(db, _AT_ONCE)


def rebuild_words(db: sqlite_utils.Database) -> None:
    """Fill the index anew, whole."""
    db.execute("INSERT INTO chunks_fts (chunks_fts) VALUES ('rebuild')")
    db.execute("INSERT INTO names_fts (names_fts) VALUES ('rebuild')")
    db.execute("UPDATE words_made SET version = ?, next = behind", (VERSION,))


def make_more(db: sqlite_utils.Database, most: int) -> int:
    """Add at most so many chunks that the index lacks; gives how many it lacks then."""
    first, behind = db.execute("SELECT next, behind FROM words_made").fetchone()
    if first >= behind:
        return 0
    row = db.execute(
        "SELECT max(n), count(*) FROM (SELECT n FROM chunks WHERE n >= ? AND n < ? ORDER BY n LIMIT ?)",
        (first, behind, most),
    ).fetchone()
    end = behind if row[1] < most else row[0] + 1
    add_words(db, first, end)
    db.execute("UPDATE words_made SET next = ?", (end,))
    return missing(db)


def missing(db: sqlite_utils.Database) -> int:
    """The number of chunks that the index lacks."""
    sql = "SELECT count(*) FROM chunks, words_made WHERE n >= next AND n < behind"
    return int(db.execute(sql).fetchone()[0])


def add_words(db: sqlite_utils.Database, first: int, behind: int) -> None:
    """Add the words of these chunks."""
    db.execute(
        "INSERT INTO chunks_fts (rowid, text, heading, marks) SELECT n, text, heading, marks FROM chunk_tokens"
        " WHERE n >= ? AND n < ?",
        (first, behind),
    )


def remove_words(db: sqlite_utils.Database, first: int, behind: int) -> None:
    """Remove the words of these chunks, before the chunks: the index has to be told what it held."""
    db.execute(
        "INSERT INTO chunks_fts (chunks_fts, rowid, text, heading, marks) SELECT 'delete', n, text, heading, marks"
        " FROM chunk_tokens WHERE n >= ?1 AND n < ?2"
        " AND NOT (n >= (SELECT next FROM words_made) AND n < (SELECT behind FROM words_made))",
        (first, behind),
    )
