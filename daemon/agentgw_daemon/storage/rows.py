"""SQL rows as the records of the wire, and the cursors of paged lists. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from agentgw.protocol.errors import InvalidParams
from agentgw.protocol.types import Message, Session, ToolCall, Turn
from agentgw_daemon.storage.json_text import text_of

SESSION_COLUMNS: Final = (
    "s.id, s.title, s.skill, s.created_at, s.updated_at,"
    " (SELECT count(*) FROM turns WHERE turns.session_id = s.id), s.cwd, s.parent_id,"
    " s.delegated_by"
)
TURN_COLUMNS: Final = (
    "t.id, t.session_id, t.skill, t.model, t.state, t.created_at, t.finished_at, t.finish_reason, t.error, t.last_seq"
)
# The last one says whether the turn's calls belong to it.
MESSAGE_COLUMNS: Final = (
    "m.id, m.turn_id, m.role, m.content, m.created_at, m.interrupted,"
    " m.n = (SELECT max(n) FROM messages WHERE turn_id = m.turn_id)"
)

LIVE_STATES: Final = ("queued", "running", "waiting")
# The same for SQL.
LIVE: Final = "('queued', 'running', 'waiting')"


def session_of(row: Sequence[Any]) -> Session:
    """The session of a row of SESSION_COLUMNS."""
    return Session(
        session_id=row[0],
        title=text_of(row[1]),
        skill=row[2],
        created_at=row[3],
        updated_at=row[4],
        turns=row[5],
        cwd=row[6],
        parent_id=row[7],
        delegated_by=row[8],
    )


def turn_of(row: Sequence[Any]) -> Turn:
    """The turn of a row of TURN_COLUMNS."""
    return Turn(
        turn_id=row[0],
        session_id=row[1],
        skill=row[2],
        model=row[3],
        state=row[4],
        created_at=row[5],
        finished_at=row[6],
        finish_reason=row[7],
        error=None if row[8] is None else text_of(row[8]),
        last_seq=row[9],
    )


def message_of(row: Sequence[Any], calls: Callable[[str], tuple[ToolCall, ...]]) -> Message:
    """The message of a row of MESSAGE_COLUMNS; `calls` gives those of a turn."""
    return Message(
        id=row[0],
        turn_id=row[1],
        role=row[2],
        content=text_of(row[3]),
        created_at=row[4],
        interrupted=True if row[5] else None,
        tool_calls=(calls(row[1]) or None) if row[6] else None,
    )


def to_cursor(*position: str | int) -> str:
    """An opaque text for `next`: where the page ended."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def from_cursor(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """The position in a cursor, of values of these kinds. Raises InvalidParams for what `to_cursor` did not make."""
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if [type(value) for value in position] != list(kinds):
            raise ValueError("wrong kinds")
        if any(isinstance(value, int) and abs(value) >= 2**63 for value in position):
            raise ValueError("out of range")
    except (ValueError, TypeError, RecursionError):
        raise InvalidParams(
            "Invalid params: before is not the `next` of a page", path="before", reason="not the `next` of a page"
        ) from None
    return tuple(position)
