"""Forgetting the notifications of turns that ended long ago. Their messages, steps and calls stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentgw.protocol.events import TurnCompleted
from agentgw_daemon.storage.rows import LIVE

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

# Milliseconds of writing, in which a turn's commit waits.
_BATCH_TURNS: Final = 100

_OLD: Final = f"SELECT id, n FROM turns WHERE n > ? AND finished_at < ? AND state NOT IN {LIVE} ORDER BY n LIMIT ?"

_FORGET: Final = "DELETE FROM turn_log WHERE turn_id = ? AND method <> ?"


async def forget_logs(runner: Runner, before: str, after_n: int) -> tuple[int, int | None]:
    """Forget logs of a batch of turns that ended before a time and come after row `after_n`.

    The end of each stays, so that whoever attaches is told of it. Gives the rows that went, and the last turn's row, or
    None when there are no more such turns.
    """

    def do(db: sqlite_utils.Database) -> tuple[int, int | None]:
        found = db.execute(_OLD, (after_n, before, _BATCH_TURNS)).fetchall()
        gone = sum(db.execute(_FORGET, (turn_id, TurnCompleted.method)).rowcount for turn_id, _ in found)
        return gone, int(found[-1][1]) if found else None

    return await runner.write(do)
