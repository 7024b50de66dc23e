"""Counts over the whole database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.protocol.calls.daemon import StatsResult
from agentgw_daemon.storage.columns import number_of, real_of, text_of
from agentgw_daemon.storage.sessions.feedback import count_ratings

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.library import sqlite_utils


def count_sessions(db: sqlite_utils.Database) -> int:
    """The number of sessions."""
    return number_of(db.execute("SELECT count(*) FROM sessions").fetchone()[0])


def count_all(db: sqlite_utils.Database, db_bytes: int) -> StatsResult:
    """The answer of `stats.get`."""
    sessions, messages = db.execute(
        "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM messages)"
    ).fetchone()
    # Not sum: one bad row would have it overflow.
    turns, tokens = db.execute("SELECT count(*), total(completion_tokens) FROM turns").fetchone()
    return StatsResult(
        sessions=sessions,
        turns=turns,
        messages=messages,
        completion_tokens=number_of(int(real_of(tokens))),
        turns_by_state=_counts(db, "state"),
        turns_by_model=_counts(db, "model"),
        db_bytes=db_bytes,
        feedback=count_ratings(db),
    )


def _counts(db: sqlite_utils.Database, column: str) -> dict[str, int]:
    found = db.execute(f"SELECT {column}, count(*) FROM turns GROUP BY {column}").fetchall()
    return {text_of(value): count for value, count in found}
