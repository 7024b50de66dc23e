"""Marks of turns that a daemon goes on with, at work or waiting: one at work when a daemon ends may be the reason.

The column `turns.resumption`: 0 for a turn of this daemon, 1 for one that it goes on with, 2 while that one waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

# A turn and those that wait for it.
_LINE: Final = (
    "WITH RECURSIVE line (id) AS (SELECT ? UNION SELECT s.delegated_by FROM line JOIN turns AS t ON t.id = line.id"
    " JOIN sessions AS s ON s.id = t.session_id WHERE s.delegated_by IS NOT NULL)"
)


def rest(db: sqlite_utils.Database, turn_id: str) -> None:
    """A turn that was gone on with waits for an answer: should the daemon end meanwhile, the turn is not the reason."""
    db.execute(f"{_LINE} UPDATE turns SET resumption = 2 WHERE resumption = 1 AND id IN line", (turn_id,))


def stir(db: sqlite_utils.Database, turn_id: str) -> None:
    """Stores that a turn has its answer."""
    db.execute(f"{_LINE} UPDATE turns SET resumption = 1 WHERE resumption = 2 AND id IN line", (turn_id,))
