"""Summaries of the oldest turns of a session. The turns themselves stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.columns import text_of
from agentgw_daemon.system.ids import now

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

_LATEST: Final = (
    "SELECT s.upto_turn_id, s.text, s.created_at, s.asked FROM summaries AS s JOIN turns AS t ON t.id = s.upto_turn_id"
    " WHERE s.session_id = ? AND s.asked >= ? ORDER BY t.n DESC LIMIT 1"
)


@record
class Summary:
    """Stands for the session's turns up to and with `upto_turn_id`; in every prompt where it was `asked` for."""

    upto_turn_id: str
    text: str
    created_at: str
    asked: bool = False


class Summaries:
    """The summaries in the database. Methods take whole ids."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def latest(self, session_id: str, *, asked: bool = False) -> Summary | None:
        """The one that stands for the most turns, of all or of those `asked` for; None when the session has none."""
        return await self._runner.read(lambda db: _latest(db, session_id, asked))

    async def add(self, session_id: str, upto_turn_id: str, text: str, *, asked: bool = False) -> None:
        """Store one; nothing is stored for a turn that is not, or no longer, one of the session."""

        def do(db: sqlite_utils.Database) -> None:
            db.execute(
                "INSERT OR REPLACE INTO summaries (session_id, upto_turn_id, text, created_at, asked)"
                " SELECT session_id, id, ?, ?, ? FROM turns WHERE id = ? AND session_id = ?",
                (text, now(), int(asked), upto_turn_id, session_id),
            )

        await self._runner.write(do)

    async def take_back(self, session_id: str) -> Summary | None:
        """The last one that was asked for, from now on only for prompts that do not fit; None when there is none."""

        def do(db: sqlite_utils.Database) -> Summary | None:
            found = _latest(db, session_id, asked=True)
            if found is not None:
                db.execute(
                    "UPDATE summaries SET asked = 0 WHERE session_id = ? AND upto_turn_id = ?",
                    (session_id, found.upto_turn_id),
                )
            return found

        return await self._runner.write(do)


def _latest(db: sqlite_utils.Database, session_id: str, asked: bool) -> Summary | None:
    row = db.execute(_LATEST, (session_id, int(asked))).fetchone()
    if row is None:
        return None
    return Summary(
        upto_turn_id=text_of(row[0]), text=text_of(row[1]), created_at=text_of(row[2]), asked=bool(row[3])
    )  # fmt: skip
