"""Projects whose skills the user trusts, and the bytes that they had then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentgw.protocol.errors import NotFound
from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.columns import text_of
from agentgw_daemon.system.ids import now

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils


@record
class Trusted:
    """A project with the hash that its skills had."""

    path: str
    sha256: str
    trusted_at: str


class Trust:
    """The trusted projects in the database, by path."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def get(self, path: str) -> Trusted | None:
        """The trust given to this project."""

        def do(db: sqlite_utils.Database) -> Trusted | None:
            row = db.execute("SELECT path, sha256, trusted_at FROM trust WHERE path = ?", (path,)).fetchone()
            return None if row is None else _trusted_of(row)

        return await self._runner.read(do)

    async def all(self) -> tuple[Trusted, ...]:
        """The trusted projects by path."""

        def do(db: sqlite_utils.Database) -> tuple[Trusted, ...]:
            found = db.execute("SELECT path, sha256, trusted_at FROM trust ORDER BY path")
            return tuple(map(_trusted_of, found))

        return await self._runner.read(do)

    async def put(self, path: str, sha256: str) -> Trusted:
        """Trust a project as it is, in place of what it was."""
        made = Trusted(path=path, sha256=sha256, trusted_at=now())

        def do(db: sqlite_utils.Database) -> Trusted:
            db.execute(
                "INSERT OR REPLACE INTO trust (path, sha256, trusted_at) VALUES (?, ?, ?)",
                (made.path, made.sha256, made.trusted_at),
            )
            return made

        return await self._runner.write(do)

    async def remove(self, path: str) -> None:
        """Trust it no longer. Raises NotFound."""

        def do(db: sqlite_utils.Database) -> None:
            if db.execute("DELETE FROM trust WHERE path = ?", (path,)).rowcount == 0:
                raise NotFound(
                    f"{path} is not trusted", hint="`agentgw trust --list` lists what is", kind="project", id=path
                )

        await self._runner.write(do)


def _trusted_of(row: Sequence[object]) -> Trusted:
    return Trusted(path=text_of(row[0]), sha256=text_of(row[1]), trusted_at=text_of(row[2]))
