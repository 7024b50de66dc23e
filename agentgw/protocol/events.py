"""Every notification the daemon sends, one record each: the second table of the contract.

A record holds the payload; `turn.*` notifications travel with `turn_id`, `session_id` and `seq` beside it.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Channel, Chunk, FinishReason, Topic

# `delegated`: another agent writes, and has written `done` pieces of text.
Phase = Literal["queued", "loading", "prefill", "delegated"]


@record
class TurnStarted:
    """The turn is stored and begins."""

    method: ClassVar[str] = "turn.started"
    skill: str
    model: str


@record
class TurnProgress:
    """Progress of what the turn waits for before its first token, or of an agent that works for it."""

    method: ClassVar[str] = "turn.progress"
    phase: Phase
    done: Annotated[int, "tokens or bytes done"] = 0
    total: Annotated[int, "of so many; 0 is unknown"] = 0
    position: Annotated[int | None, "place in the queue, from 1"] = None


@record
class TurnDelta:
    """A piece of the answer, or of the reasoning before it."""

    method: ClassVar[str] = "turn.delta"
    text: str
    channel: Channel = "answer"


@record
class TurnToolCall:
    """The model calls a tool; it has not run yet."""

    method: ClassVar[str] = "turn.tool_call"
    call_id: str
    tool: str
    arguments: dict[str, Any]


@record
class TurnToolResult:
    """The result of a call, as the model is told."""

    method: ClassVar[str] = "turn.tool_result"
    call_id: str
    ok: bool
    content: str
    denied: Annotated[bool | None, "true: somebody said no, and it was not made"] = None


@record
class TurnApproval:
    """The turn, or an agent that works for it, waits for a yes or a no to a call: `approval.answer`, from anywhere."""

    method: ClassVar[str] = "turn.approval"
    approval_id: str
    call_id: str
    tool: str
    arguments: Annotated[dict[str, Any], "exactly as the tool would get them"]
    cwd: str
    expires_at: Annotated[str, "no answer by then is a no"]
    title: Annotated[str | None, "the effect of the call, escaped for a terminal"] = None
    details: Annotated[tuple[str, ...] | None, "more of it, a line each, escaped"] = None
    diff: Annotated[str | None, "a unified diff of the file it would change, escaped"] = None


@record
class TurnSources:
    """The sources of the answer: pieces of the user's documents that the model was shown, each told once."""

    method: ClassVar[str] = "turn.sources"
    chunks: tuple[Chunk, ...]


@record
class TurnNotice:
    """Something the user should know that is not the answer, such as a trimmed context."""

    method: ClassVar[str] = "turn.notice"
    code: str
    text: str


@record
class TurnSteered:
    """The user has added to the message; the model is shown it before its next step."""

    method: ClassVar[str] = "turn.steered"
    text: str


@record
class TurnCompleted:
    """The last notification of a turn."""

    method: ClassVar[str] = "turn.completed"
    finish_reason: FinishReason | Literal["failed"]


@record
class ChatDelta:
    """A piece of the answer of `chat.complete`."""

    method: ClassVar[str] = "chat.delta"
    text: str
    channel: Channel = "answer"


@record
class ReplayProgress:
    """Progress of `turn.replay`."""

    method: ClassVar[str] = "replay.progress"
    replayed_turn_id: str
    phase: Phase | Literal["answering"]
    done: Annotated[int, "bytes, tokens of the prompt, or pieces of the answer"] = 0
    total: Annotated[int, "of so many; 0 is unknown"] = 0
    position: Annotated[int | None, "place in the queue, from 1"] = None


@record
class ModelProgress:
    """Progress of `model.pull`."""

    method: ClassVar[str] = "model.progress"
    model: str
    done_bytes: int
    total_bytes: Annotated[int, "0 is unknown"]


@record
class DocumentProgress:
    """Progress of `document.ingest`."""

    method: ClassVar[str] = "document.progress"
    files_done: int
    files_total: Annotated[int, "found so far"]
    chunks: Annotated[int, "stored so far"]
    rate: Annotated[float, "chunks a second"] = 0.0
    eta_s: Annotated[float | None, "seconds left"] = None
    source: Annotated[str | None, "the document that is being read"] = None


@record
class DaemonEvent:
    """Something that happened in the daemon, for `event.subscribe`."""

    method: ClassVar[str] = "event"
    topic: Topic
    name: Annotated[str, "started, completed, loaded …"]
    data: dict[str, Any]


TurnEvent = (
    TurnStarted | TurnProgress | TurnDelta | TurnToolCall | TurnApproval | TurnToolResult | TurnSources | TurnNotice
    | TurnSteered | TurnCompleted
)  # fmt: skip
Event = TurnEvent | ChatDelta | ReplayProgress | ModelProgress | DocumentProgress | DaemonEvent

EVENTS: tuple[type, ...] = (
    TurnStarted, TurnProgress, TurnDelta, TurnToolCall, TurnApproval, TurnToolResult,
    TurnSources, TurnNotice, TurnSteered, TurnCompleted, ChatDelta, ReplayProgress, ModelProgress, DocumentProgress,
    DaemonEvent,
)  # fmt: skip
