"""Counts over the whole database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.protocol.results import StatsResult
from agentgw_daemon.storage.sessions.feedback import count_ratings

if TYPE_CHECKING:
    from agentgw_daemon.storage.file.library import sqlite_utils


def count_all(db: sqlite_utils.Database, db_bytes: int) -> StatsResult:
    """The answer of `stats.get`."""
    sessions, messages = db.execute(
        "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM messages)"
    ).fetchone()
    turns, tokens = db.execute("SELECT count(*), coalesce(sum(completion_tokens), 0) FROM turns").fetchone()
    return StatsResult(
        sessions=sessions,
        turns=turns,
        messages=messages,
        completion_tokens=tokens,
        turns_by_state=dict(db.execute("SELECT state, count(*) FROM turns GROUP BY state").fetchall()),
        turns_by_model=dict(db.execute("SELECT model, count(*) FROM turns GROUP BY model").fetchall()),
        db_bytes=db_bytes,
        feedback=count_ratings(db),
    )
