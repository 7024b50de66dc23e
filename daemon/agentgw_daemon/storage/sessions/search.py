"""Full-text search in all messages. The index is SQLite's FTS5; triggers keep it in step with the messages.

The index knows words between spaces and punctuation. Scripts that write without spaces are one word a sentence to it,
so words of those are looked for in the text itself, which reads every message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from agentgw.protocol.types import SearchHit
from agentgw_daemon.storage.columns import text_of
from agentgw_daemon.storage.rows import role_of
from agentgw_daemon.storage.words.terms import MAX_PHRASED, MAX_TERMS

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

_SNIPPET_WORDS: Final = 16
_SNIPPET_CHARACTERS: Final = 30  # on either side of a hit in a script without spaces

# Quotes as they are typed in other languages, and by editors that set them.
_QUOTES: Final = str.maketrans(dict.fromkeys("“”„«»", '"'))
_WORD: Final = re.compile(r"[^\W_]+")
# "a phrase" or a word.
_TERM: Final = re.compile(r'"([^"]*)"(?=\s|$)|(\S+)')
# Thai, Lao, Burmese, Khmer; kana; Han with its extensions. Hangul has spaces, but its endings stick to the words.
WITHOUT_SPACES: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003134f]"
)

_COLUMNS: Final = "m.session_id, m.turn_id, s.title, m.role"
_JOINS: Final = "JOIN sessions AS s ON s.id = m.session_id"


def to_terms(query: str) -> tuple[str, ...]:
    """The words and quoted phrases of a query, these without their quotes."""
    # A NUL would end the expression for FTS5, in the middle of a quoted word.
    found = _TERM.findall(query.replace("\0", " ").translate(_QUOTES))
    terms = [term for phrase, word in found if (term := phrase.strip() or word)][:MAX_TERMS]
    return tuple(_bounded(terms))


def _bounded(terms: Sequence[str]) -> Iterator[str]:
    """The terms, those of several words cut behind as many as may be looked for."""
    left = MAX_PHRASED
    for term in terms:
        words = [found.end() for found in islice(_WORD.finditer(term), max(left, 1) + 1)]
        if len(words) <= 1:
            yield term
        elif left:
            yield term if len(words) <= left else term[: words[left - 1]]
            left = max(0, left - len(words))


def to_match(terms: tuple[str, ...]) -> str:
    """The FTS5 expression for "all these": each is quoted, so no character of it is syntax; `word*` is a beginning."""
    return " ".join(quoted(term) for term in terms)


def quoted(term: str) -> str:
    """A word or phrase as an FTS5 expression; `word*` is a beginning."""
    beginning = len(term) > 1 and term.endswith("*") and term[-2].isalnum()
    return '"' + term.removesuffix("*" if beginning else "").replace('"', '""') + '"' + ("*" if beginning else "")


def search_messages(db: sqlite_utils.Database, query: str, limit: int) -> tuple[SearchHit, ...]:
    """Messages in which all words and phrases of the query occur, best first; the latest where none is better."""
    terms = to_terms(query)
    inside = tuple(term for term in terms if WITHOUT_SPACES.search(term))
    match = to_match(tuple(term for term in terms if term not in inside))
    contains = "".join(" AND instr(m.content, ?) > 0" for _ in inside)
    if match:
        # Snippets are made of the best alone: SQLite would make them of all that is found before it sorts, which takes
        # five times as long as the rest where a word is in every message.
        joined = "JOIN messages AS m ON m.n = messages_fts.rowid" if inside else ""
        found = db.execute(
            "WITH best AS MATERIALIZED (SELECT messages_fts.rowid AS n, messages_fts.rank AS rank"
            f" FROM messages_fts {joined} WHERE messages_fts MATCH ?{contains}"
            " ORDER BY messages_fts.rank, messages_fts.rowid DESC LIMIT ?)"
            f" SELECT {_COLUMNS}, snippet(messages_fts, 0, '«', '»', '…', {_SNIPPET_WORDS}), m.created_at"
            " FROM best CROSS JOIN messages_fts ON messages_fts.rowid = best.n"
            f" JOIN messages AS m ON m.n = best.n {_JOINS}"
            " WHERE messages_fts MATCH ? ORDER BY best.rank, best.n DESC",
            (match, *inside, limit, match),
        ).fetchall()
    elif inside:
        rows = db.execute(
            f"SELECT {_COLUMNS}, m.content, m.created_at FROM messages AS m {_JOINS}"
            f" WHERE true{contains} ORDER BY m.n DESC LIMIT ?",
            (*inside, limit),
        ).fetchall()
        found = [(*row[:4], _snippet(text_of(row[4]), inside), row[5]) for row in rows]
    else:
        found = []
    return tuple(
        SearchHit(
            session_id=text_of(row[0]),
            turn_id=text_of(row[1]),
            title=text_of(row[2]),
            role=role_of(row[3]),
            snippet=text_of(row[4]),
            created_at=text_of(row[5]),
        )
        for row in found
    )


def _snippet(content: str, terms: tuple[str, ...]) -> str:
    """The surroundings of the first term, with every term in them marked."""
    at = content.find(terms[0])
    start, end = max(at - _SNIPPET_CHARACTERS, 0), at + len(terms[0]) + _SNIPPET_CHARACTERS
    # The longest first: one term may be part of another.
    marks = "|".join(re.escape(term) for term in sorted(set(terms), key=len, reverse=True))
    marked = re.sub(marks, lambda match: f"«{match.group()}»", content[start:end])
    return ("…" if start else "") + marked + ("…" if end < len(content) else "")
