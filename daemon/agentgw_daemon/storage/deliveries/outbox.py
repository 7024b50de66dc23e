"""Events for webhooks, written in the transaction of what happened: what is committed is told, and nothing else is.

Ids, names and times only: what was said, and why something failed, stays on this machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from agentgw.protocol.calls.webhooks import WebhookEvent
from agentgw_daemon.system.ids import new_id, now
from agentgw_daemon.text.valid import valid_text

if TYPE_CHECKING:
    from agentgw.protocol.calls.jobs import JobRun
    from agentgw.protocol.types import Feedback, Turn
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

# Of one webhook. A thousand turns with a tool call each; the oldest of them are what its receiver lacks first.
MAX_PENDING: Final = 1000
# Names of models are paths at times; nothing else comes near.
MAX_VALUE_CHARS: Final = 256
_NOWHERE: Final[Mapping[WebhookEvent, tuple[str, ...]]] = MappingProxyType({})


class EventOutbox:
    """Writes a row for each webhook that an event goes to, in the database's thread.

    `on_added` is called on trio's thread, when rows may have been committed.
    """

    def __init__(
        self,
        routes: Mapping[WebhookEvent, tuple[str, ...]] = _NOWHERE,
        on_added: Callable[[], None] = lambda: None,
    ) -> None:
        self._routes = dict(routes)
        self._on_added = on_added
        self._added = False

    def route(self, routes: Mapping[WebhookEvent, tuple[str, ...]]) -> None:
        """From now on events go to these webhooks."""
        self._routes = dict(routes)

    def tell(self) -> None:
        """End of the transaction, committed or not."""
        if self._added:
            self._added = False
            self._on_added()

    def session_created(self, db: sqlite_utils.Database, session_id: str) -> None:
        """A session was made, by a turn, by hand or as a copy."""
        if "session.created" in self._routes:
            row = db.execute("SELECT skill, parent_id FROM sessions WHERE id = ?", (session_id,)).fetchone()
            self._put(db, "session.created", {"session_id": session_id, "skill": row[0], "parent_id": row[1]})

    def turn_started(self, db: sqlite_utils.Database, turn: Turn) -> None:
        """A turn was stored and is about to run."""
        self._put(db, "agent.started", _of_turn(turn))

    def turn_ended(self, db: sqlite_utils.Database, turn: Turn) -> None:
        """A turn ended, in whatever way."""
        ended = {"state": turn.state, "finish_reason": turn.finish_reason, "finished_at": turn.finished_at}
        event: WebhookEvent = "agent.completed" if turn.state == "completed" else "agent.failed"
        self._put(db, event, _of_turn(turn) | ended)

    def tool_executed(self, db: sqlite_utils.Database, turn_id: str, call_id: str, tool: str, *, ok: bool) -> None:
        """A call of a turn has a result."""
        if "tool.executed" in self._routes:
            (session_id,) = db.execute("SELECT session_id FROM turns WHERE id = ?", (turn_id,)).fetchone()
            data = {"turn_id": turn_id, "session_id": session_id, "call_id": call_id, "tool": tool, "ok": ok}
            self._put(db, "tool.executed", data)

    def feedback_received(self, db: sqlite_utils.Database, given: Feedback) -> None:
        """A turn was rated."""
        data = {
            "turn_id": given.turn_id, "session_id": given.session_id, "rating": given.rating, "skill": given.skill,
            "model": given.model,
        }  # fmt: skip
        self._put(db, "feedback.received", data)

    def job_finished(self, db: sqlite_utils.Database, run: JobRun) -> None:
        """A run of a job ended."""
        data = {
            "job": run.job, "run_id": run.run_id, "status": run.status, "reason": run.reason, "attempt": run.attempt,
            "scheduled_for": run.scheduled_for, "started_at": run.started_at, "finished_at": run.finished_at,
            "turn_id": run.turn_id,
        }  # fmt: skip
        self._put(db, "job.finished", data)

    def _put(self, db: sqlite_utils.Database, event: WebhookEvent, data: Mapping[str, Any]) -> None:
        hooks = self._routes.get(event, ())
        if not hooks:
            return
        at, event_id = now(), new_id("e")
        body = body_of(event, at, data)
        for hook in hooks:
            (waiting,) = db.execute(
                "SELECT count(*) FROM deliveries WHERE hook = ? AND state = 'pending'", (hook,)
            ).fetchone()
            if waiting >= MAX_PENDING:
                db.execute(
                    "INSERT INTO webhook_standings (hook, dropped) VALUES (?, 1)"
                    " ON CONFLICT (hook) DO UPDATE SET dropped = dropped + 1",
                    (hook,),
                )
                continue
            db.execute(
                "INSERT INTO deliveries (id, hook, event, body, created_at) VALUES (?, ?, ?, ?, ?)",
                (event_id, hook, event, body, at),
            )
        self._added = True


def body_of(event: str, at: str, data: Mapping[str, Any]) -> str:
    """The payload as it is signed and sent, without what is None or, in a row that has become bad, no value of JSON."""
    kept = {key: _bounded(value) for key, value in data.items() if isinstance(value, str | int | float)}
    return json.dumps({"event": event, "timestamp": at, "data": kept}, ensure_ascii=False, separators=(",", ":"))


def _bounded(value: Any) -> Any:
    return valid_text(value)[:MAX_VALUE_CHARS] if isinstance(value, str) else value


def _of_turn(turn: Turn) -> dict[str, Any]:
    return {
        "turn_id": turn.turn_id, "session_id": turn.session_id, "skill": turn.skill, "model": turn.model,
        "started_at": turn.created_at,
    }  # fmt: skip


# For those that are told of no webhook.
NOBODY: Final = EventOutbox()
