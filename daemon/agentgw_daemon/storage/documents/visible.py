"""Chunks that a filter lets through: ranges of numbers, exact, worked out once for as long as nothing changes."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from agentgw_daemon.storage.documents.generations import COUNTED, generation_of
from agentgw_daemon.storage.documents.selection import Filter, visible_where

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

_KEPT: Final = 16
# Rows that may change, as a share of all chunks, before these are counted again.
_CHANGED_SHARE: Final = 0.01


class Allowed:
    """Chunks that may be found, of one collection or of several; `whole`: all that these have."""

    def __init__(self, ranges: Sequence[tuple[int, int]], *, whole: bool = False) -> None:
        self.whole: Final = whole
        self._firsts = array("q", (first for first, _ in ranges))
        self._counts = array("q", (count for _, count in ranges))

    def __contains__(self, n: int) -> bool:
        at = bisect_right(self._firsts, n) - 1
        return at >= 0 and n < self._firsts[at] + self._counts[at]

    def __len__(self) -> int:
        return sum(self._counts)

    @property
    def parts(self) -> int:
        """The number of ranges."""
        return len(self._firsts)

    @property
    def ranges(self) -> Iterator[tuple[int, int]]:
        """The first of each and how many, in order."""
        return zip(self._firsts, self._counts, strict=True)

    def packed(self) -> bytes:
        """Pairs of the first and how many, as the vector index takes them."""
        made = array("q", bytes(16 * len(self._firsts)))
        made[::2], made[1::2] = self._firsts, self._counts
        return made.tobytes()


class Visibility:
    """Cache of what filters let through and of how much there is. Used in the database's thread."""

    def __init__(self) -> None:
        self._connection: object = None
        self._kept: OrderedDict[tuple[int, str, Filter], Allowed] = OrderedDict()
        self._total, self._counted_at = 0, -1

    def of(self, db: sqlite_utils.Database, collection: str, wanted: Filter) -> Allowed:
        """The chunks of one collection that a filter lets through."""
        self._changes(db)
        # Not the count of all changes: a turn that is recorded would make every search list all documents again.
        key = (generation_of(db), collection, wanted)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = _allowed(db, collection, wanted)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return found

    def total(self, db: sqlite_utils.Database) -> int:
        """The number of all chunks, as good as exact."""
        changes = self._changes(db)
        if self._counted_at < 0 or changes - self._counted_at > _CHANGED_SHARE * self._total:
            self._total = db.execute(
                f"SELECT coalesce(sum(k.chunks), 0) FROM contents AS k WHERE {COUNTED}"
            ).fetchone()[0]
            self._counted_at = changes
        return self._total

    def _changes(self, db: sqlite_utils.Database) -> int:
        """The number of rows that anybody ever changed, as the one connection counts them."""
        if self._connection is not db.conn:
            # A backup took the database's place, and the count begins anew.
            self._connection, self._counted_at = db.conn, -1
            self._kept.clear()
        return db.conn.total_changes


def _allowed(db: sqlite_utils.Database, collection: str, wanted: Filter) -> Allowed:
    number = db.execute("SELECT n FROM collections WHERE name = ?", (collection,)).fetchone()
    if number is None:
        return Allowed(())
    if not wanted.tags and not (wanted.skills and _has_labels(db, "skill")):
        rows = db.execute(
            "SELECT k.first_chunk, k.chunks FROM members AS m JOIN contents AS k ON k.n = m.content"
            f" WHERE m.collection = ? AND {COUNTED} ORDER BY k.first_chunk",
            number,
        ).fetchall()
        return Allowed(rows, whole=True)
    where = visible_where(number[0], wanted)
    rows = db.execute(
        f"SELECT k.first_chunk, k.chunks FROM contents AS k WHERE {COUNTED} AND k.n IN"
        f" (SELECT d.content FROM documents AS d WHERE {where}) ORDER BY k.first_chunk",
        where.values,
    ).fetchall()
    held = db.execute(
        f"SELECT count(*) FROM members AS m JOIN contents AS k ON k.n = m.content WHERE m.collection = ? AND {COUNTED}",
        number,
    ).fetchone()[0]
    return Allowed(rows, whole=len(rows) == held)


def _has_labels(db: sqlite_utils.Database, kind: str) -> bool:
    return db.execute("SELECT 1 FROM document_labels WHERE kind = ? LIMIT 1", (kind,)).fetchone() is not None
