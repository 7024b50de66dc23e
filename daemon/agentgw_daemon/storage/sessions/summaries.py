"""Summaries of the oldest turns of a session. The turns themselves stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.protocol.schema import record
from agentgw_daemon.system.ids import now

if TYPE_CHECKING:
    from agentgw_daemon.storage.file.connection import Runner
    from agentgw_daemon.storage.file.library import sqlite_utils


@record
class Summary:
    """Stands for the session's turns up to and with `upto_turn_id`."""

    upto_turn_id: str
    text: str
    created_at: str


class Summaries:
    """The summaries in the database. Methods take whole ids."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def latest(self, session_id: str) -> Summary | None:
        """The one that stands for the most turns; None when the session has none."""

        def do(db: sqlite_utils.Database) -> Summary | None:
            row = db.execute(
                "SELECT s.upto_turn_id, s.text, s.created_at FROM summaries AS s"
                " JOIN turns AS t ON t.id = s.upto_turn_id WHERE s.session_id = ? ORDER BY t.n DESC LIMIT 1",
                (session_id,),
            ).fetchone()
            return None if row is None else Summary(upto_turn_id=row[0], text=row[1], created_at=row[2])

        return await self._runner.read(do)

    async def add(self, session_id: str, upto_turn_id: str, text: str) -> None:
        """Store one; nothing is stored for a turn that is not, or no longer, one of the session."""

        def do(db: sqlite_utils.Database) -> None:
            db.execute(
                "INSERT OR REPLACE INTO summaries (session_id, upto_turn_id, text, created_at)"
                " SELECT session_id, id, ?, ? FROM turns WHERE id = ? AND session_id = ?",
                (text, now(), upto_turn_id, session_id),
            )

        await self._runner.write(do)
