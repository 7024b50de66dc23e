"""Tool calls of stored turns: each is written before it starts and again when it has ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agentgw.types import ToolCall
from agentgw_daemon.calling.agents import DELEGATE
from agentgw_daemon.failpoint import failpoint
from agentgw_daemon.storage.approvals import use_up
from agentgw_daemon.storage.ids import now

if TYPE_CHECKING:
    from agentgw_daemon.storage.connection import Runner
    from agentgw_daemon.storage.library import sqlite_utils


class Calls:
    """The calls in the database. One without `ok` was cut off: whether it was carried out is not known."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def begin(self, turn_id: str, call: ToolCall) -> None:
        """It is about to be made, and its turn waits for nobody."""

        def do(db: sqlite_utils.Database) -> None:
            failpoint("call-begins")
            # In the same commit: a yes for one use is used, whatever happens to the call.
            use_up(db, turn_id, call.call_id)
            # One that waits for another agent is made again after a restart, and finds that agent at work. No other is.
            insert = "INSERT OR IGNORE" if call.tool == DELEGATE else "INSERT"
            db.execute(
                f"{insert} INTO tool_calls (turn_id, call_id, tool, arguments, started_at) VALUES (?, ?, ?, ?, ?)",
                (turn_id, call.call_id, call.tool, json.dumps(call.arguments), now()),
            )
            db.execute("UPDATE turns SET state = 'running' WHERE id = ? AND state = 'waiting'", (turn_id,))

        await self._runner.write(do)

    async def end(self, turn_id: str, call: ToolCall, *, untrusted: bool) -> None:
        """What came of it."""

        def do(db: sqlite_utils.Database) -> None:
            db.execute(
                "UPDATE tool_calls SET ok = ?, content = ?, untrusted = ?, ended_at = ?"
                " WHERE turn_id = ? AND call_id = ?",
                (call.ok, call.content, untrusted, now(), turn_id, call.call_id),
            )

        await self._runner.write(do)

    async def is_tainted(self, session_id: str) -> bool:
        """Whether a turn of this session was given untrusted text, or one of its calls brought some, or may have."""

        def do(db: sqlite_utils.Database) -> bool:
            row = db.execute(
                "SELECT 1 FROM turns LEFT JOIN tool_calls ON tool_calls.turn_id = turns.id"
                " WHERE turns.session_id = ?"
                " AND (tainted OR untrusted OR (tool_calls.n IS NOT NULL AND ended_at IS NULL)) LIMIT 1",
                (session_id,),
            ).fetchone()
            return row is not None

        return await self._runner.read(do)


def calls_of(db: sqlite_utils.Database, turn_id: str) -> tuple[ToolCall, ...]:
    """A turn's calls, in order."""
    found = db.execute(
        "SELECT call_id, tool, arguments, ok, content FROM tool_calls WHERE turn_id = ? ORDER BY n", (turn_id,)
    ).fetchall()
    return tuple(
        ToolCall(
            call_id=call_id, tool=tool, arguments=json.loads(arguments), ok=None if ok is None else bool(ok),
            content=content,
        )
        for call_id, tool, arguments, ok, content in found
    )  # fmt: skip
