"""Folders that are followed, and what their documents are stored with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.columns import text_of
from agentgw_daemon.storage.json_text import from_text, read_or, to_text
from agentgw_daemon.system.ids import now

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

log = logging.getLogger(__name__)

_COLUMNS: Final = "path, collection, skills, tags, exclude, chunk_size, since"


@record
class Watched:
    """A folder by its absolute path, bytes that are no UTF-8 as surrogates. Labels that are None are not touched."""

    path: str
    collection: str
    skills: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    chunk_size: int | None = None
    since: str = ""


class WatchedFolders:
    """The followed folders in the database: one row a folder and collection."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def all(self) -> tuple[Watched, ...]:
        """The followed folders by path."""

        def do(db: sqlite_utils.Database) -> tuple[Watched, ...]:
            rows = db.execute(f"SELECT {_COLUMNS} FROM watched ORDER BY path, collection").fetchall()
            found = [read_or(None, partial(_watched_of, row)) for row in rows]
            readable = tuple(one for one in found if one is not None)
            if len(readable) < len(rows):
                log.warning("folders that are not followed, for what is stored of them is bad: %d", found.count(None))
            return readable

        return await self._runner.read(do)

    async def put(self, watched: Watched) -> Watched:
        """Follow a folder, or follow it in another way; gives it as it is stored."""

        def do(db: sqlite_utils.Database) -> Watched:
            lists = (watched.skills, watched.tags, watched.exclude)
            row = db.execute(
                "INSERT INTO watched (path, collection, skills, tags, exclude, chunk_size, since)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path, collection) DO UPDATE SET skills = excluded.skills,"
                " tags = excluded.tags, exclude = excluded.exclude, chunk_size = excluded.chunk_size"
                f" RETURNING {_COLUMNS}",
                (_blob(watched.path), watched.collection, *map(to_text, lists), watched.chunk_size, now()),
            ).fetchone()
            return _watched_of(row)

        return await self._runner.write(do)

    async def remove(self, path: str, collection: str | None = None) -> int:
        """Follow it no more, in one collection or in all; gives how many rows went."""

        def do(db: sqlite_utils.Database) -> int:
            return db.execute(
                "DELETE FROM watched WHERE path = ?1 AND (?2 IS NULL OR collection = ?2)", (_blob(path), collection)
            ).rowcount

        return await self._runner.write(do)


def _blob(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _watched_of(row: Sequence[Any]) -> Watched:
    """The folder of a row. Raises one of `json_text.BAD`: with half of what it is to be stored with, it is not read."""
    skills, tags, exclude = map(_words_of, row[2:5])
    if not (isinstance(row[1], str) and isinstance(row[5], int | None)):
        raise TypeError("no collection, or no number")
    return Watched(
        path=row[0].decode("utf-8", "surrogateescape"), collection=row[1], skills=skills, tags=tags,
        exclude=exclude or (), chunk_size=row[5], since=text_of(row[6]),
    )  # fmt: skip


def _words_of(text: Any) -> tuple[str, ...] | None:
    made = from_text(text)
    if made is None:
        return None
    if not (isinstance(made, list) and all(isinstance(one, str) for one in made)):
        raise TypeError("no list of words")
    return tuple(made)
