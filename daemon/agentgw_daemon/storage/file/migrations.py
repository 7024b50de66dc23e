"""The database's tables, made step by step by sqlite-utils' migrations.

A step that was released is never edited: the next change is a new step. Each runs in one transaction together with
the note that it was applied, so a process killed in the middle leaves the database as it was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from agentgw.protocol.errors import ConfigRefused
from agentgw_daemon.observability.failpoint import failpoint
from agentgw_daemon.storage.deliveries.tables import DELIVERIES
from agentgw_daemon.storage.documents.knowledge_tables import KNOWLEDGE, WATCHED
from agentgw_daemon.storage.jobs.job_tables import JOBS
from agentgw_daemon.storage.sqlite.library import Migrations, sqlite_utils
from agentgw_daemon.storage.words.tables import WORDS, add_functions

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

# `decision` is NULL while the question is open. A rule outlives the session it was made in.
_APPROVALS: Final = (
    """CREATE TABLE approvals (
        id TEXT PRIMARY KEY,
        turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        call_id TEXT NOT NULL,
        tool TEXT NOT NULL,
        arguments TEXT NOT NULL,
        cwd TEXT NOT NULL,
        title TEXT NOT NULL,
        details TEXT NOT NULL,
        diff TEXT,
        digest TEXT NOT NULL,
        outbound INTEGER NOT NULL,
        asked_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        decision TEXT,
        decided_at TEXT,
        UNIQUE (turn_id, call_id)
    )""",
    "CREATE INDEX approvals_granted ON approvals (session_id, digest) WHERE decision = 'allow_session'",
    "CREATE INDEX approvals_by_session ON approvals (session_id)",
    """CREATE TABLE approval_rules (
        id TEXT PRIMARY KEY,
        tool TEXT NOT NULL,
        arguments TEXT NOT NULL,
        cwd TEXT NOT NULL,
        digest TEXT NOT NULL UNIQUE,
        created_at TEXT NOT NULL
    )""",
)

_TOOL_CALLS: Final = (
    """CREATE TABLE tool_calls (
        n INTEGER PRIMARY KEY,
        turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        call_id TEXT NOT NULL,
        tool TEXT NOT NULL,
        arguments TEXT NOT NULL,
        started_at TEXT NOT NULL,
        ended_at TEXT,
        ok INTEGER,
        content TEXT,
        untrusted INTEGER NOT NULL DEFAULT 0,
        UNIQUE (turn_id, call_id)
    )""",
)

# A rating is of the turn that was answered: a copy of that turn in another session has none.
_FEEDBACK: Final = (
    """CREATE TABLE feedback (
        turn_id TEXT PRIMARY KEY REFERENCES turns (id) ON DELETE CASCADE,
        rating INTEGER NOT NULL CHECK (rating IN (-1, 1)),
        comment TEXT,
        created_at TEXT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX feedback_by_time ON feedback (created_at, turn_id)",
)

# One for each turn up to which a session was ever summarised, so that a copy that ends earlier has its own.
_SUMMARIES: Final = (
    """CREATE TABLE summaries (
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        upto_turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        text TEXT NOT NULL,
        created_at TEXT NOT NULL,
        PRIMARY KEY (session_id, upto_turn_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX summaries_by_turn ON summaries (upto_turn_id)",
)

# A summary that was asked for stands in every prompt, others only where the turns do not fit.
_ASKED_SUMMARIES: Final = ("ALTER TABLE summaries ADD COLUMN asked INTEGER NOT NULL DEFAULT 0",)

# Data that a turn takes to be run again. A row of `turn_steps` is written when the model's step is over and before its
# calls are made, and again when they have ended. Sessions use the same tools over and over: each set is kept once.
_RECORD: Final = (
    "ALTER TABLE turns ADD COLUMN request TEXT",
    "ALTER TABLE turns ADD COLUMN seed INTEGER",
    "ALTER TABLE turns ADD COLUMN history TEXT",
    "ALTER TABLE turns ADD COLUMN toolset TEXT",
    "CREATE TABLE toolsets (digest TEXT PRIMARY KEY, tools TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX turns_by_toolset ON turns (toolset) WHERE toolset IS NOT NULL",
    """CREATE TABLE turn_steps (
        turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        n INTEGER NOT NULL,
        step TEXT NOT NULL,
        PRIMARY KEY (turn_id, n)
    ) WITHOUT ROWID""",
)

_TRUST: Final = (
    """CREATE TABLE trust (
        path TEXT PRIMARY KEY,
        sha256 TEXT NOT NULL,
        trusted_at TEXT NOT NULL
    ) WITHOUT ROWID""",
)

# A turn that another one delegated to has a session of its own, which goes with the one it worked for. `tainted`: what
# the turn was given (a file, a task from a tainted turn) is text that somebody else may have written.
_DELEGATION: Final = (
    "ALTER TABLE sessions ADD COLUMN delegated_by TEXT REFERENCES turns (id) ON DELETE CASCADE",
    "CREATE INDEX sessions_by_caller ON sessions (delegated_by)",
    "ALTER TABLE turns ADD COLUMN tainted INTEGER NOT NULL DEFAULT 0",
)


# Number of the newest notification when the step was written: a delta behind it belongs to the next step.
_STEP_SEQ: Final = ("ALTER TABLE turn_steps ADD COLUMN upto_seq INTEGER NOT NULL DEFAULT 0",)


# The call of `delegated_by` that the session answers.
_DELEGATED_CALL: Final = ("ALTER TABLE sessions ADD COLUMN delegated_call TEXT",)


# The sources of the answer; those that were quoted in the prompt are in `history`.
_SOURCES: Final = ("ALTER TABLE turns ADD COLUMN sources TEXT",)


# See `resumption`.
_RESUMPTION: Final = ("ALTER TABLE turns ADD COLUMN resumption INTEGER NOT NULL DEFAULT 0",)


# Code and data of the error that the turn ended with.
_FAILURE: Final = ("ALTER TABLE turns ADD COLUMN failure TEXT",)


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


@MIGRATIONS(name="002_approvals")
def _approvals(db: sqlite_utils.Database) -> None:
    run_statements(db, "002", _APPROVALS)


@MIGRATIONS(name="003_feedback")
def _feedback(db: sqlite_utils.Database) -> None:
    run_statements(db, "003", _FEEDBACK)


@MIGRATIONS(name="004_summaries")
def _summaries(db: sqlite_utils.Database) -> None:
    run_statements(db, "004", _SUMMARIES)


@MIGRATIONS(name="005_tool_calls")
def _tool_calls(db: sqlite_utils.Database) -> None:
    run_statements(db, "005", _TOOL_CALLS)


@MIGRATIONS(name="006_turn_record")
def _turn_record(db: sqlite_utils.Database) -> None:
    run_statements(db, "006", _RECORD)


@MIGRATIONS(name="007_knowledge")
def _knowledge(db: sqlite_utils.Database) -> None:
    run_statements(db, "007", KNOWLEDGE)


@MIGRATIONS(name="008_trust")
def _trust(db: sqlite_utils.Database) -> None:
    run_statements(db, "008", _TRUST)


@MIGRATIONS(name="009_step_seq")
def _step_seq(db: sqlite_utils.Database) -> None:
    run_statements(db, "009", _STEP_SEQ)


@MIGRATIONS(name="010_delegation")
def _delegation(db: sqlite_utils.Database) -> None:
    run_statements(db, "010", _DELEGATION)


@MIGRATIONS(name="011_watched")
def _watched(db: sqlite_utils.Database) -> None:
    run_statements(db, "011", WATCHED)


@MIGRATIONS(name="012_delegated_call")
def _delegated_call(db: sqlite_utils.Database) -> None:
    run_statements(db, "012", _DELEGATED_CALL)


@MIGRATIONS(name="013_sources")
def _sources(db: sqlite_utils.Database) -> None:
    run_statements(db, "013", _SOURCES)


@MIGRATIONS(name="014_resumption")
def _resumption(db: sqlite_utils.Database) -> None:
    run_statements(db, "014", _RESUMPTION)


@MIGRATIONS(name="015_failure")
def _failure(db: sqlite_utils.Database) -> None:
    run_statements(db, "015", _FAILURE)


@MIGRATIONS(name="016_jobs")
def _jobs(db: sqlite_utils.Database) -> None:
    run_statements(db, "016", JOBS)


@MIGRATIONS(name="017_deliveries")
def _deliveries(db: sqlite_utils.Database) -> None:
    run_statements(db, "017", DELIVERIES)


@MIGRATIONS(name="018_words")
def _words(db: sqlite_utils.Database) -> None:
    run_statements(db, "018", WORDS)


@MIGRATIONS(name="019_asked_summaries")
def _asked_summaries(db: sqlite_utils.Database) -> None:
    run_statements(db, "019", _ASKED_SUMMARIES)


def pending(db: sqlite_utils.Database, migrations: Migrations = MIGRATIONS) -> tuple[str, ...]:
    """Names of the steps this database still needs.

    Raises ConfigRefused when it has steps that this version does not know, or other tables and none of ours: neither
    an older program nor another one's may write to it.
    """
    applied = {step.name for step in migrations.applied(db)}
    strangers = () if applied else _tables_besides(db, migrations)
    if strangers:
        raise ConfigRefused(
            f"the database is another program's: it has the table {strangers[0]}, and none of agentgw's",
            hint="move it away, or set AGENTGW_HOME to another directory",
        )
    unknown = applied - _all_names(migrations)
    if unknown:
        raise ConfigRefused(
            f"the database was written by a newer agentgw (step {max(unknown)} is unknown here)",
            hint="upgrade agentgw, or set AGENTGW_HOME to another directory",
        )
    return tuple(step.name for step in migrations.pending(db))


def tables_after(applied: Collection[str] | None = None) -> Mapping[str, frozenset[str]]:
    """Names of tables with those of their columns, and of triggers with none, once these first steps are made.

    None: once all are made.
    """
    empty = sqlite_utils.Database(memory=True, execute_plugins=False)
    try:
        add_functions(empty.conn)
        MIGRATIONS.apply(empty, stop_before=() if applied is None else _all_names(MIGRATIONS) - set(applied))
        return tables_of(empty)
    finally:
        empty.close()


def tables_of(db: sqlite_utils.Database) -> Mapping[str, frozenset[str]]:
    """The tables of a database, in the form that `tables_after` gives."""
    named = db.execute("SELECT type, name FROM sqlite_master WHERE type IN ('table', 'trigger')").fetchall()
    columns = "SELECT name FROM pragma_table_xinfo(?)"
    return {
        str(name): frozenset(str(row[0]) for row in db.execute(columns, (name,))) if kind == "table" else frozenset()
        for kind, name in named
    }


def _tables_besides(db: sqlite_utils.Database, migrations: Migrations) -> tuple[str, ...]:
    """Tables of a database in which no step was made."""
    found = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    own = migrations.migrations_table
    return tuple(str(name) for (name,) in found if name != own and not str(name).startswith("sqlite_"))


def _all_names(migrations: Migrations) -> set[str]:
    # An empty database is the public way to ask for every step.
    empty = sqlite_utils.Database(memory=True, execute_plugins=False)
    try:
        return {step.name for step in migrations.pending(empty)}
    finally:
        empty.close()
