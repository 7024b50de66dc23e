"""Documents by the names of their files."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from agentgw_daemon.storage.columns import text_of
from agentgw_daemon.storage.words.folding import name_of_source, name_tokens
from agentgw_daemon.storage.words.scoring import FileName
from agentgw_daemon.storage.words.terms import Term

if TYPE_CHECKING:
    from agentgw_daemon.storage.documents.selection import Where
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

# A content may be that of thousands of files, an empty licence say: so many of their names are looked at.
_NAMES: Final = 500
# Files called so that are ranked, some 5 µs each.
_RANKED: Final = 1_000


def called(db: sqlite_utils.Database, terms: Sequence[Term], most: int, documents: Sequence[Where]) -> list[int]:
    """The first chunks of documents whose files are called any of the terms, the best first.

    What thousands are called, an ending say, ranks none of them; where there is nothing else, any of them are given.
    """
    matches = [*(term.match for term in terms), *(f'"{word}"' for word in compounds(terms))]
    telling = matches if _is_rare(db, matches) else [match for match in matches if _is_rare(db, [match])]
    match = " OR ".join(telling or matches)
    order = " ORDER BY names_fts.rank" if telling else ""
    found: dict[int, float] = {}
    for where in documents if match else ():
        rows = db.execute(
            f"SELECT k.first_chunk, {'names_fts.rank' if telling else 0} FROM names_fts"
            " JOIN documents AS d ON d.n = names_fts.rowid JOIN contents AS k ON k.n = d.content"
            f" WHERE names_fts MATCH ? AND k.chunks > 0 AND {where}{order} LIMIT ?",
            (match, *where.values, most),
        )
        for first, rank in rows:
            found[first] = min(rank, found.get(first, 0.0))
    return sorted(found, key=lambda first: (found[first], first))[:most]


def _is_rare(db: sqlite_utils.Database, matches: Sequence[str]) -> bool:
    """Tells whether no more files are called any of these than can be ranked."""
    sql = "SELECT count(*) FROM (SELECT 1 FROM names_fts WHERE names_fts MATCH ? LIMIT ?)"
    return bool(matches) and bool(db.execute(sql, (" OR ".join(matches), _RANKED + 1)).fetchone()[0] <= _RANKED)


def compounds(terms: Sequence[Term]) -> dict[str, str]:
    """Neighbours of a query written together, each with the two words."""
    words = [term.words[0] if len(term.words) == 1 and not term.beginning else "" for term in terms]
    return {one + other: f"{one} {other}" for one, other in pairwise(words) if one and other}


def names_of(
    db: sqlite_utils.Database, contents: Collection[int], documents: Sequence[Where], together: Mapping[str, str]
) -> dict[int, list[FileName]]:
    """The names of the files that have these contents: what a query parts and a name has `together` is both."""
    marks = ", ".join("?" * len(contents))
    made: dict[int, dict[FileName, None]] = {}
    for where in documents:
        rows = db.execute(
            f"SELECT d.content, d.source FROM documents AS d WHERE d.content IN ({marks}) AND {where} LIMIT ?",
            (*contents, *where.values, _NAMES),
        )
        for content, source in rows:
            name = name_of_source(text_of(source))
            parted = (part for word in together.keys() & _words(name) for part in together[word].split())
            made.setdefault(content, {})[FileName(text=name, words=(*_words(name), *parted))] = None
    return {content: list(names) for content, names in made.items()}


@functools.lru_cache(4096)
def _words(name: str) -> tuple[str, ...]:
    return tuple(name_tokens(name))
