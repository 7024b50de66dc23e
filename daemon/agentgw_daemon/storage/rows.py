"""SQL rows as the records of the wire, and the cursors of paged lists. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, Final, get_args

from agentgw.protocol.errors import InvalidParams
from agentgw.protocol.types import FinishReason, Message, Role, Session, ToolCall, Turn, TurnStatus
from agentgw_daemon.storage.columns import number_of, optional, text_of, word_of

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

_STATES: Final[tuple[TurnStatus, ...]] = get_args(TurnStatus)
_REASONS: Final[tuple[FinishReason | None, ...]] = get_args(FinishReason)
_ROLES: Final[tuple[Role, ...]] = get_args(Role)

LIVE_STATES: Final = ("queued", "running", "waiting")
# The same for SQL.
LIVE: Final = "('queued', 'running', 'waiting')"


def session_of(row: Sequence[Any]) -> Session:
    """The session of a row of SESSION_COLUMNS."""
    return Session(
        session_id=text_of(row[0]),
        title=text_of(row[1]),
        skill=text_of(row[2]),
        created_at=text_of(row[3]),
        updated_at=text_of(row[4]),
        turns=number_of(row[5]),
        cwd=optional(text_of, row[6]),
        parent_id=optional(text_of, row[7]),
        delegated_by=optional(text_of, row[8]),
    )


def turn_of(row: Sequence[Any]) -> Turn:
    """The turn of a row of TURN_COLUMNS."""
    return Turn(
        turn_id=text_of(row[0]),
        session_id=text_of(row[1]),
        skill=text_of(row[2]),
        model=text_of(row[3]),
        state=word_of(row[4], _STATES, "interrupted"),
        created_at=text_of(row[5]),
        finished_at=optional(text_of, row[6]),
        finish_reason=word_of(row[7], _REASONS, None),
        error=optional(text_of, row[8]),
        last_seq=number_of(row[9]),
    )


def message_of(row: Sequence[Any], calls: Callable[[str], tuple[ToolCall, ...]]) -> Message:
    """The message of a row of MESSAGE_COLUMNS; `calls` gives those of a turn."""
    return Message(
        id=text_of(row[0]),
        turn_id=text_of(row[1]),
        role=role_of(row[2]),
        content=text_of(row[3]),
        created_at=text_of(row[4]),
        interrupted=True if row[5] else None,
        tool_calls=(calls(row[1]) or None) if row[6] else None,
    )


def role_of(value: object) -> Role:
    """The role in a column. Where it is none that there is, nobody may be said to have said the text."""
    return word_of(value, _ROLES, "tool")


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
