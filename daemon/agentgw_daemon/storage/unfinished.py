"""Turns that an earlier daemon left in the middle of their tool calls, and all that it takes to go on with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from agentgw.params import TurnStartParams
from agentgw.results import TurnDetail
from agentgw.schema import bind, record
from agentgw_daemon.storage.ids import new_id, now
from agentgw_daemon.storage.log import LogRow, answer_so_far, read_rows
from agentgw_daemon.storage.rows import LIVE
from agentgw_daemon.storage.turns import read_detail

if TYPE_CHECKING:
    from agentgw_daemon.storage.connection import Runner
    from agentgw_daemon.storage.library import sqlite_utils

# A live turn whose model has made calls, none of which was cut off while it was carried out (whether it had its effect
# is not known, so it must not be made again), and which has said nothing since: all that is left to do is stored. Nor
# does another turn wait for it: that one was cut off in its call.
UNFINISHED: Final = (
    f"t.state IN {LIVE} AND NOT EXISTS (SELECT 1 FROM sessions AS o WHERE o.id = t.session_id"
    " AND o.delegated_by IS NOT NULL) AND EXISTS (SELECT 1 FROM turn_steps AS s WHERE s.turn_id = t.id)"
    " AND NOT EXISTS (SELECT 1 FROM tool_calls AS c WHERE c.turn_id = t.id AND c.ended_at IS NULL)"
    " AND NOT EXISTS (SELECT 1 FROM turn_log AS l WHERE l.turn_id = t.id AND l.method = 'turn.delta'"
    "  AND l.seq + l.count - 1 > (SELECT max(s.upto_seq) FROM turn_steps AS s WHERE s.turn_id = t.id))"
)


@record
class LeftTurn:
    """A turn as it was left. `request` lacks the texts of message and files; the log goes to `upto_seq` at least."""

    detail: TurnDetail
    request: TurnStartParams
    log: tuple[LogRow, ...]
    upto_seq: int


class Unfinished:
    """The turns to go on with. Methods take whole ids."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def ids(self) -> tuple[str, ...]:
        """All of them, the oldest first. Ask before any turn is started: those that run now look alike."""
        return await self._runner.read(unfinished_ids)

    async def read(self, turn_id: str) -> LeftTurn:
        """One of them. Raises ValueError, or InvalidParams, when what is stored cannot be understood."""

        def do(db: sqlite_utils.Database) -> LeftTurn:
            request, upto_seq = db.execute(
                "SELECT request, (SELECT max(upto_seq) FROM turn_steps WHERE turn_id = ?1) FROM turns WHERE id = ?1",
                (turn_id,),
            ).fetchone()
            return LeftTurn(
                detail=read_detail(db, turn_id), request=bind(TurnStartParams, json.loads(request or "{}")),
                log=read_rows(db, turn_id), upto_seq=upto_seq,
            )  # fmt: skip

        return await self._runner.read(do)

    async def give_up(self, turn_id: str) -> None:
        """It cannot be gone on with: it was interrupted."""
        await self._runner.write(lambda db: interrupt(db, turn_id))


def unfinished_ids(db: sqlite_utils.Database) -> tuple[str, ...]:
    """See `Unfinished.ids`."""
    return tuple(str(row[0]) for row in db.execute(f"SELECT t.id FROM turns AS t WHERE {UNFINISHED} ORDER BY t.n"))


def interrupt(db: sqlite_utils.Database, turn_id: str) -> None:
    """Mark a turn that has not ended as interrupted and keep its answer as far as the log has it.

    The log stays as it is: it records what was sent, and no end was sent.
    """
    rows = read_rows(db, turn_id)
    at = now()
    text = answer_so_far(rows)
    if text:
        db.execute(
            "INSERT INTO messages (id, session_id, turn_id, role, content, created_at, interrupted)"
            " SELECT ?, session_id, id, 'assistant', ?, ?, 1 FROM turns WHERE id = ?",
            (new_id("m"), text, at, turn_id),
        )
    db.execute(
        "UPDATE turns SET state = 'interrupted', finished_at = ?, last_seq = ? WHERE id = ?",
        (at, rows[-1].last_seq if rows else 0, turn_id),
    )
