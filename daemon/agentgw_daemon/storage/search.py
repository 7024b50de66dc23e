"""Full-text search in all messages. The index is SQLite's FTS5; triggers keep it in step with the messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentgw.types import SearchHit

if TYPE_CHECKING:
    from agentgw_daemon.storage.library import sqlite_utils

_MAX_WORDS: Final = 64  # FTS5 nests expressions at most 256 deep; nobody types 64 words
_SNIPPET_WORDS: Final = 16


def to_match(query: str) -> str:
    """The FTS5 expression for "all these words": each is quoted, so no character of it is syntax."""
    # A NUL would end the expression for FTS5, in the middle of a quoted word.
    words = query.replace("\0", " ").split()[:_MAX_WORDS]
    return " ".join('"' + word.replace('"', '""') + '"' for word in words)


def search_messages(db: sqlite_utils.Database, query: str, limit: int) -> tuple[SearchHit, ...]:
    """Messages in which all words of the query occur, best first."""
    match = to_match(query)
    if not match:
        return ()
    found = db.execute(
        "SELECT m.session_id, m.turn_id, s.title, m.role,"
        f" snippet(messages_fts, 0, '«', '»', '…', {_SNIPPET_WORDS}), m.created_at"
        " FROM messages_fts JOIN messages AS m ON m.n = messages_fts.rowid JOIN sessions AS s ON s.id = m.session_id"
        " WHERE messages_fts MATCH ? ORDER BY messages_fts.rank, m.n DESC LIMIT ?",
        (match, limit),
    )
    return tuple(
        SearchHit(session_id=row[0], turn_id=row[1], title=row[2], role=row[3], snippet=row[4], created_at=row[5])
        for row in found
    )
