"""Repairs that opening makes in the tables: turns that a crash cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentgw_daemon.storage.deliveries.outbox import EventOutbox
from agentgw_daemon.storage.rows import LIVE
from agentgw_daemon.storage.sessions.unfinished import interrupt, unfinished_ids

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.library import sqlite_utils


_ONCE: Final = "the daemon ended while it went on with this turn, which is not tried again"


def interrupt_live_turns(db: sqlite_utils.Database, *, spare: bool, outbox: EventOutbox) -> tuple[str, ...]:
    """Mark every turn that has not ended as interrupted and keep its answer as far as the log has it.

    `spare`: not those that can be gone on with; they wait from now on. Gives the ids of those that were marked.
    """
    spared = unfinished_ids(db) if spare else ()
    found = db.execute(f"SELECT id, resumption FROM turns WHERE state IN {LIVE} ORDER BY n").fetchall()
    cut_off = {str(turn_id): resumption == 1 for turn_id, resumption in found if turn_id not in spared}
    for turn_id, was_resumed in cut_off.items():
        interrupt(db, turn_id, _ONCE if was_resumed else None, outbox)
    db.execute(f"UPDATE turns SET state = 'waiting' WHERE state IN {LIVE}")
    return tuple(cut_off)
