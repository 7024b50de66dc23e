"""What opening puts right in the tables: turns that a crash cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw_daemon.storage.ids import new_id, now
from agentgw_daemon.storage.log import answer_so_far, read_rows

if TYPE_CHECKING:
    from agentgw_daemon.storage.library import sqlite_utils


def interrupt_live_turns(db: sqlite_utils.Database) -> tuple[str, ...]:
    """Mark every turn that has not ended as interrupted and keep its answer as far as the log has it.

    Gives the turns' ids. The log stays as it is: it records what was sent, and no end was sent.
    """
    found = db.execute(
        "SELECT id, session_id FROM turns WHERE state IN ('queued', 'running', 'waiting') ORDER BY n"
    ).fetchall()
    for turn_id, session_id in found:
        rows = read_rows(db, turn_id)
        at = now()
        text = answer_so_far(rows)
        if text:
            db.execute(
                "INSERT INTO messages (id, session_id, turn_id, role, content, created_at, interrupted)"
                " VALUES (?, ?, ?, 'assistant', ?, ?, 1)",
                (new_id("m"), session_id, turn_id, text, at),
            )
        db.execute(
            "UPDATE turns SET state = 'interrupted', finished_at = ?, last_seq = ? WHERE id = ?",
            (at, rows[-1].last_seq if rows else 0, turn_id),
        )
    return tuple(turn_id for turn_id, _ in found)
