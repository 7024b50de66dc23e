"""The database's tables, made step by step by sqlite-utils' migrations.

A step that was released is never edited: the next change is a new step. Each runs in one transaction together with
the note that it was applied, so a process killed in the middle leaves the database as it was.
"""

from __future__ import annotations

from typing import Final

from agentgw.errors import ConfigRefused
from agentgw_daemon.failpoint import failpoint
from agentgw_daemon.storage.library import Migrations, sqlite_utils

MIGRATIONS: Final = Migrations("agentgw")

# `n` counts rows in the order they were written. Messages need it as the row number of the search index; it also
# orders turns and messages when the clock does not.
_FIRST: Final = (
    """CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        title TEXT NOT NULL,
        skill TEXT NOT NULL,
        cwd TEXT,
        parent_id TEXT REFERENCES sessions (id) ON DELETE SET NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL
    )""",
    "CREATE INDEX sessions_by_use ON sessions (updated_at, id)",
    "CREATE INDEX sessions_by_parent ON sessions (parent_id)",
    """CREATE TABLE turns (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        skill TEXT NOT NULL,
        model TEXT NOT NULL,
        state TEXT NOT NULL,
        created_at TEXT NOT NULL,
        finished_at TEXT,
        finish_reason TEXT,
        error TEXT,
        last_seq INTEGER NOT NULL DEFAULT 0,
        cwd TEXT,
        system TEXT NOT NULL,
        options TEXT NOT NULL,
        idempotency_key TEXT UNIQUE,
        prompt_tokens INTEGER NOT NULL DEFAULT 0,
        cached_tokens INTEGER NOT NULL DEFAULT 0,
        completion_tokens INTEGER NOT NULL DEFAULT 0,
        timings TEXT NOT NULL DEFAULT '{}',
        prompt_sha256 TEXT,
        model_sha256 TEXT,
        engine TEXT
    )""",
    "CREATE INDEX turns_by_session ON turns (session_id, n)",
    "CREATE INDEX turns_by_cwd ON turns (cwd, n)",
    "CREATE INDEX turns_live ON turns (n) WHERE state IN ('queued', 'running', 'waiting')",
    """CREATE TABLE messages (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        role TEXT NOT NULL,
        content TEXT NOT NULL,
        created_at TEXT NOT NULL,
        interrupted INTEGER
    )""",
    "CREATE INDEX messages_by_session ON messages (session_id, n)",
    "CREATE INDEX messages_by_turn ON messages (turn_id, n)",
    """CREATE TABLE turn_log (
        turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        seq INTEGER NOT NULL,
        count INTEGER NOT NULL,
        method TEXT NOT NULL,
        payload TEXT NOT NULL,
        PRIMARY KEY (turn_id, seq)
    ) WITHOUT ROWID""",
)


def run_statements(db: sqlite_utils.Database, name: str, statements: tuple[str, ...]) -> None:
    """Run the statements of one step, with a failpoint `migration-NAME-INDEX` before each and one behind the last."""
    for index, statement in enumerate(statements):
        failpoint(f"migration-{name}-{index}")
        db.execute(statement)
    failpoint(f"migration-{name}-{len(statements)}")


@MIGRATIONS(name="001_sessions_turns_messages")
def _first(db: sqlite_utils.Database) -> None:
    run_statements(db, "001", _FIRST)
    db.table("messages").enable_fts(["content"], create_triggers=True, tokenize="unicode61 remove_diacritics 2")
    failpoint("migration-001-end")


def pending(db: sqlite_utils.Database, migrations: Migrations = MIGRATIONS) -> tuple[str, ...]:
    """Names of the steps this database still needs.

    Raises ConfigRefused when it has steps that this version does not know: an older program must not write to it.
    """
    unknown = {step.name for step in migrations.applied(db)} - _all_names(migrations)
    if unknown:
        raise ConfigRefused(
            f"the database was written by a newer agentgw (step {max(unknown)} is unknown here)",
            hint="upgrade agentgw, or set AGENTGW_HOME to another directory",
        )
    return tuple(step.name for step in migrations.pending(db))


def _all_names(migrations: Migrations) -> set[str]:
    # An empty database is the public way to ask for every step.
    empty = sqlite_utils.Database(memory=True, execute_plugins=False)
    try:
        return {step.name for step in migrations.pending(empty)}
    finally:
        empty.close()
