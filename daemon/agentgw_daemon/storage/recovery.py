"""What opening puts right in the tables: turns that a crash cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw_daemon.storage.rows import LIVE
from agentgw_daemon.storage.unfinished import interrupt, unfinished_ids

if TYPE_CHECKING:
    from agentgw_daemon.storage.library import sqlite_utils


def interrupt_live_turns(db: sqlite_utils.Database, *, spare: bool) -> tuple[str, ...]:
    """Mark every turn that has not ended as interrupted and keep its answer as far as the log has it.

    `spare`: not those that can be gone on with; they wait from now on. Gives the ids of those that were marked.
    """
    spared = unfinished_ids(db) if spare else ()
    found = db.execute(f"SELECT id FROM turns WHERE state IN {LIVE} ORDER BY n").fetchall()
    cut_off = tuple(str(turn_id) for (turn_id,) in found if turn_id not in spared)
    for turn_id in cut_off:
        interrupt(db, turn_id)
    db.execute(f"UPDATE turns SET state = 'waiting' WHERE state IN {LIVE}")
    return cut_off
