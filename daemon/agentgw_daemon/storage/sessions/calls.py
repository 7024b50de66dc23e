"""Tool calls of stored turns: each is written before it starts and again when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agentgw.protocol.types import ToolCall
from agentgw_daemon.observability.failpoint import failpoint
from agentgw_daemon.storage.columns import text_of
from agentgw_daemon.storage.deliveries.outbox import NOBODY, EventOutbox
from agentgw_daemon.storage.json_text import arguments_of, from_text, to_text
from agentgw_daemon.storage.sessions.approvals import use_up
from agentgw_daemon.system.ids import now
from agentgw_daemon.tool_calling.choosing.agents import DELEGATE

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils


class Calls:
    """The calls in the database. One without `ok` was cut off: whether it was carried out is not known."""

    def __init__(self, runner: Runner, outbox: EventOutbox = NOBODY) -> None:
        self._runner = runner
        self._outbox = outbox

    async def begin(self, turn_id: str, call: ToolCall) -> None:
        """Stores that a call is about to be made, and that its turn waits for nobody."""

        def do(db: sqlite_utils.Database) -> None:
            failpoint("call-begins")
            # In the same commit: a yes for one use is used, whatever happens to the call.
            use_up(db, turn_id, call.call_id)
            # One that waits for another agent is made again after a restart, and finds that agent at work. No other is.
            insert = "INSERT OR IGNORE" if call.tool == DELEGATE else "INSERT"
            db.execute(
                f"{insert} INTO tool_calls (turn_id, call_id, tool, arguments, started_at) VALUES (?, ?, ?, ?, ?)",
                (turn_id, call.call_id, call.tool, to_text(call.arguments), now()),
            )
            db.execute("UPDATE turns SET state = 'running' WHERE id = ? AND state = 'waiting'", (turn_id,))

        await self._runner.write(do)

    async def end(self, turn_id: str, call: ToolCall, *, untrusted: bool) -> None:
        """Stores the result of a call."""

        def do(db: sqlite_utils.Database) -> None:
            db.execute(
                "UPDATE tool_calls SET ok = ?, content = ?, untrusted = ?, ended_at = ?"
                " WHERE turn_id = ? AND call_id = ?",
                (call.ok, call.content, untrusted, now(), turn_id, call.call_id),
            )
            self._outbox.tool_executed(db, turn_id, call.call_id, call.tool, ok=bool(call.ok))

        await self._runner.write(do)

    async def is_tainted(self, session_id: str) -> bool:
        """Tells whether a turn of this session was given untrusted text, or one of its calls brought some, or
        may have.
        """

        def do(db: sqlite_utils.Database) -> bool:
            row = db.execute(
                "SELECT 1 FROM turns LEFT JOIN tool_calls ON tool_calls.turn_id = turns.id"
                " WHERE turns.session_id = ?"
                " AND (tainted OR untrusted OR (tool_calls.n IS NOT NULL AND ended_at IS NULL)) LIMIT 1",
                (session_id,),
            ).fetchone()
            return row is not None

        return await self._runner.read(do)


def calls_of(db: sqlite_utils.Database, turn_id: str, *, strict: bool = False) -> tuple[ToolCall, ...]:
    """A turn's calls, in order. `strict`: raises what `from_text` does where one cannot be read."""
    read: Callable[[Any], Any] = from_text if strict else arguments_of
    found = db.execute(
        "SELECT call_id, tool, arguments, ok, content FROM tool_calls WHERE turn_id = ? ORDER BY n", (turn_id,)
    ).fetchall()
    return tuple(
        ToolCall(
            call_id=text_of(call_id), tool=text_of(tool), arguments=read(arguments),
            ok=None if ok is None else bool(ok),
            content=None if content is None else text_of(content),
        )
        for call_id, tool, arguments, ok, content in found
    )  # fmt: skip
