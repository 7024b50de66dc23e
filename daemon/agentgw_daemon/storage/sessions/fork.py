"""Copying a session with its turns, messages and log under new ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentgw_daemon.storage.rows import LIVE
from agentgw_daemon.system.ids import new_id, now

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

# All of a turn but its number, ids and idempotency key: the key belongs to the turn that ran.
KEPT: Final = (
    "skill, model, state, created_at, finished_at, finish_reason, error, last_seq, cwd, system, options, prompt_tokens,"
    " cached_tokens, completion_tokens, timings, prompt_sha256, model_sha256, engine, request, seed, history, toolset,"
    " tainted, sources, failure"
)


def copy_session(db: sqlite_utils.Database, session_id: str, last_turn: str | None) -> str:
    """Copy a session up to and with `last_turn`, or all of it, without turns that still live; gives the copy's id."""
    copy, at = new_id("s"), now()
    db.execute(
        "INSERT INTO sessions (id, title, skill, cwd, parent_id, created_at, updated_at)"
        " SELECT ?, title, skill, cwd, id, ?, ? FROM sessions WHERE id = ?",
        (copy, at, at, session_id),
    )
    turns = db.execute(
        f"SELECT id FROM turns WHERE session_id = ? AND state NOT IN {LIVE}"
        " AND n <= coalesce((SELECT n FROM turns WHERE id = ?), n) ORDER BY n",
        (session_id, last_turn),
    ).fetchall()
    for (turn_id,) in turns:
        copied = _copy_turn(db, turn_id, copy)
        db.execute(
            "INSERT INTO summaries (session_id, upto_turn_id, text, created_at, asked)"
            " SELECT ?, ?, text, created_at, asked FROM summaries WHERE session_id = ? AND upto_turn_id = ?",
            (copy, copied, session_id, turn_id),
        )
    return copy


def _copy_turn(db: sqlite_utils.Database, turn_id: str, session_id: str) -> str:
    copy = new_id("t")
    db.execute(
        f"INSERT INTO turns (id, session_id, {KEPT}) SELECT ?, ?, {KEPT} FROM turns WHERE id = ?",
        (copy, session_id, turn_id),
    )
    for (n,) in db.execute("SELECT n FROM messages WHERE turn_id = ? ORDER BY n", (turn_id,)).fetchall():
        db.execute(
            "INSERT INTO messages (id, session_id, turn_id, role, content, created_at, interrupted)"
            " SELECT ?, ?, ?, role, content, created_at, interrupted FROM messages WHERE n = ?",
            (new_id("m"), session_id, copy, n),
        )
    db.execute(
        "INSERT INTO turn_log (turn_id, seq, count, method, payload)"
        " SELECT ?, seq, count, method, payload FROM turn_log WHERE turn_id = ?",
        (copy, turn_id),
    )
    db.execute(
        "INSERT INTO turn_steps (turn_id, n, step) SELECT ?, n, step FROM turn_steps WHERE turn_id = ?",
        (copy, turn_id),
    )
    # With the ids of the calls that were made: the log has them, and what was untrusted stays so.
    db.execute(
        "INSERT INTO tool_calls (turn_id, call_id, tool, arguments, started_at, ended_at, ok, content, untrusted)"
        " SELECT ?, call_id, tool, arguments, started_at, ended_at, ok, content, untrusted FROM tool_calls"
        " WHERE turn_id = ? ORDER BY n",
        (copy, turn_id),
    )
    return copy
