"""BM25 as SQLite has it: FTS5 in memory with its own tokeniser, any of a question's words."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Final

_WORD: Final = re.compile(r"\w+")


def by_bm25(texts: Iterable[str], questions: Iterable[str], most: int) -> list[list[int]]:
    """The rows of the texts that each question finds, the best first."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE VIRTUAL TABLE texts USING fts5 (text, tokenize='unicode61 remove_diacritics 2')")
        db.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", enumerate(texts))
        return [_found(db, _WORD.findall(question), most) for question in questions]


def _found(db: sqlite3.Connection, words: Sequence[str], most: int) -> list[int]:
    match = " OR ".join(f'"{word}"' for word in words)
    rows = db.execute("SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT ?", (match, most))
    return [row[0] for row in rows]
