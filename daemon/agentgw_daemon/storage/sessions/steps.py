"""Record of what a turn's model was shown and wrote, step by step: enough to run the turn again or go on with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from agentgw.protocol.calls.turns import OfferedTool, PromptHistory, TurnStep
from agentgw.protocol.records.schema import dump, record
from agentgw_daemon.storage.json_text import to_text
from agentgw_daemon.storage.sessions.log import LogRow, insert_rows
from agentgw_daemon.storage.sessions.reading import ColumnReader

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils


@record
class ShownPrompt:
    """Parts of a prompt that the model was shown besides system text and message."""

    history: PromptHistory | None = None
    tools: tuple[OfferedTool, ...] = ()


@record
class StepRows:
    """Steps from number `first` (from 1) on, and what was shown if it is not stored yet."""

    first: int
    steps: tuple[TurnStep, ...]
    shown: ShownPrompt | None = None


class StepStore:
    """The steps in the database."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def write(self, turn_id: str, rows: StepRows, log: Iterable[LogRow] = ()) -> None:
        """Store steps, and in the same commit the log up to here; one that is there already is replaced.

        While its model's steps are stored a turn waits for nobody.
        """
        kept = tuple(log)

        def do(db: sqlite_utils.Database) -> None:
            insert_rows(db, turn_id, kept)
            write_steps(db, turn_id, rows)
            db.execute("UPDATE turns SET state = 'running' WHERE id = ? AND state = 'waiting'", (turn_id,))

        await self._runner.write(do)


def write_steps(db: sqlite_utils.Database, turn_id: str, rows: StepRows) -> None:
    """See `StepStore.write`."""
    if rows.shown is not None:
        history = None if rows.shown.history is None else to_text(dump(rows.shown.history))
        digest = _keep_tools(db, rows.shown.tools)
        # A quotation is text that somebody else may have written.
        quotes = rows.shown.history is not None and bool(rows.shown.history.excerpts)
        db.execute(
            "UPDATE turns SET history = ?, toolset = ?, tainted = tainted OR ? WHERE id = ?",
            (history, digest, quotes, turn_id),
        )
    db.conn.executemany(
        "INSERT OR REPLACE INTO turn_steps (turn_id, n, step, upto_seq)"
        " VALUES (?1, ?2, ?3, (SELECT coalesce(max(seq + count) - 1, 0) FROM turn_log WHERE turn_id = ?1))",
        [(turn_id, n, to_text(dump(step))) for n, step in enumerate(rows.steps, rows.first)],
    )


def steps_of(db: sqlite_utils.Database, turn_id: str, reading: ColumnReader) -> tuple[TurnStep, ...]:
    """A turn's steps, in order. An empty one stands for one that cannot be read."""
    found = db.execute("SELECT n, step FROM turn_steps WHERE turn_id = ? ORDER BY n", (turn_id,)).fetchall()
    return tuple(reading.record(f"steps[{n}]", TurnStep, step, TurnStep(text="")) for n, step in found)


def tools_of(db: sqlite_utils.Database, digest: str | None, reading: ColumnReader) -> tuple[OfferedTool, ...]:
    """The tools of a set."""
    row = db.execute("SELECT tools FROM toolsets WHERE digest = ?", (digest,)).fetchone()
    return () if row is None else reading.records("tools", OfferedTool, row[0])


def drop_unused_tools(db: sqlite_utils.Database) -> None:
    """Remove the sets that no turn was shown any more."""
    db.execute("DELETE FROM toolsets WHERE NOT EXISTS (SELECT 1 FROM turns WHERE toolset = toolsets.digest)")


def _keep_tools(db: sqlite_utils.Database, tools: tuple[OfferedTool, ...]) -> str | None:
    if not tools:
        return None
    text = to_text(dump(tools))
    digest = hashlib.sha256(text.encode()).hexdigest()
    db.execute("INSERT OR IGNORE INTO toolsets (digest, tools) VALUES (?, ?)", (digest, text))
    return digest
