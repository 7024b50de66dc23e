"""Every method of the daemon: the first table of the contract.

Server dispatch, `rpc.discover`, `docs/protocol.md` and the tests read it; a method's parameters and result
are records, so their JSON Schemas come from the same place. Contract section 4.1.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from agentgw import errors as e
from agentgw import events as ev
from agentgw import types as t
from agentgw.schema import Limit, record

_Page = Annotated[int, "at most so many", Limit(minimum=1, maximum=1000)]
_SessionId = Annotated[str, "the session, or a unique prefix of its id", Limit(min_length=1, max_length=64)]
_TurnId = Annotated[str, "the turn", Limit(min_length=1, max_length=64)]
_Ref = Annotated[str, "a model reference", Limit(min_length=1, max_length=4096)]


@record
class NoParams:
    """No parameters."""


@record
class Done:
    """It happened."""

    ok: bool = True


@record
class HelloParams:
    """Who the client is."""

    client: Annotated[str, "the program's name", Limit(max_length=100)]
    version: Annotated[str, "its version", Limit(max_length=100)]
    protocol: Annotated[int, "the wire's version it speaks"]


@record
class HelloResult:
    """Who the daemon is."""

    protocol: int
    version: str
    pid: int
    instance: Annotated[str, "new at every start of the daemon"]
    started_at: str
    busy: Annotated[bool, "turns are running, so an upgrade has to wait"]


@record
class DaemonStatus:
    """What runs."""

    version: str
    pid: int
    uptime_s: float
    socket: str
    scheduler: t.SchedulerStatus
    service: t.ServiceStatus
    models: tuple[t.Model, ...]
    workers: tuple[t.Worker, ...]
    queue: Annotated[int, "turns that wait for a slot"]
    sessions: int
    db_bytes: int
    connections: int
    rss_bytes: int
    log: Annotated[str, "path of the log file"]


@record
class ShutdownParams:
    """How to stop."""

    upgrade: Annotated[bool, "stop only when idle: a newer client wants to start its own version"] = False


@record
class ShutdownResult:
    """Whether the daemon stops now."""

    stopping: bool
    reason: Annotated[str | None, "why it goes on"] = None


@record
class ReloadResult:
    """What re-reading the files changed."""

    changed: tuple[str, ...]
    restart_needed: Annotated[tuple[str, ...], "changes that wait for a restart"]


@record
class DoctorResult:
    """All checks, the healthy ones too."""

    ok: bool
    findings: tuple[t.Finding, ...]


@record
class TurnStartParams:
    """A user message and how to answer it."""

    message: Annotated[str, "what the user says"]
    skill: Annotated[str | None, "`general_assistant` and `general-assistant` are the same", Limit(max_length=64)] = (
        None
    )
    session_id: Annotated[str | None, "continue this session", Limit(min_length=1, max_length=64)] = None
    model: Annotated[str | None, "a model reference", Limit(min_length=1, max_length=4096)] = None
    system: Annotated[str | None, "replaces the skill's instructions"] = None
    options: t.Options | None = None
    files: Annotated[tuple[t.File, ...], "appended to the message", Limit(max_length=100)] = ()
    cwd: Annotated[str | None, "where the user is", Limit(max_length=4096)] = None
    ephemeral: Annotated[bool, "store nothing"] = False
    detach: Annotated[bool, "answer at once and go on when the client leaves"] = False
    dry_run: Annotated[bool, "render the prompt, count it, run nothing: `text` is the prompt"] = False
    idempotency_key: Annotated[
        str | None,
        "the same key never runs twice: it gives the first turn's result",
        Limit(min_length=1, max_length=200),
    ] = None


@record
class TurnResult:
    """The answer and what it took. A detached turn's first answer has the ids and no `finish_reason`."""

    turn_id: str
    session_id: str
    text: str = ""
    finish_reason: t.FinishReason | None = None
    usage: t.Usage = t.Usage()
    timings: t.Timings = t.Timings()
    tool_calls: tuple[t.ToolCall, ...] = ()
    sources: tuple[t.Chunk, ...] = ()
    last_seq: int = 0


@record
class TurnIdParams:
    """Which turn."""

    turn_id: _TurnId


@record
class TurnAttachParams:
    """Which turn, and from where."""

    turn_id: Annotated[str, "a turn, or a session: its running or latest turn", Limit(min_length=1, max_length=64)]
    from_seq: Annotated[int, "first notification wanted", Limit(minimum=1)] = 1


@record
class TurnListParams:
    """Which turns."""

    session_id: _SessionId | None = None
    running: Annotated[bool, "only those that have not ended"] = False
    limit: _Page = 50
    before: Annotated[str | None, "`next` of the page before"] = None


@record
class TurnList:
    """Newest first."""

    turns: tuple[t.Turn, ...]
    next: str | None = None


@record
class TurnDetail:
    """One turn with what it takes to run it again."""

    turn: t.Turn
    message: str
    text: str
    system: str
    options: t.Options
    usage: t.Usage
    timings: t.Timings
    model_sha256: str | None = None
    engine: Annotated[str | None, "engine and build"] = None
    prompt_sha256: Annotated[str | None, "of the rendered prompt"] = None
    tool_calls: tuple[t.ToolCall, ...] = ()
    sources: tuple[t.Chunk, ...] = ()


@record
class ChatParams:
    """A stateless completion in the OpenAI shape."""

    messages: Annotated[tuple[t.ChatMessage, ...], "the whole conversation", Limit(min_length=1, max_length=1000)]
    model: _Ref | None = None
    options: t.Options | None = None


@record
class ChatResult:
    """The assistant's message."""

    message: t.ChatMessage
    finish_reason: t.FinishReason
    usage: t.Usage
    model: str


@record
class SessionListParams:
    """Which sessions."""

    limit: _Page = 50
    before: Annotated[str | None, "`next` of the page before"] = None
    cwd: Annotated[str | None, "only those started there"] = None


@record
class SessionList:
    """Latest first."""

    sessions: tuple[t.Session, ...]
    next: str | None = None


@record
class SessionIdParams:
    """Which session."""

    session_id: _SessionId


@record
class MessagesParams:
    """Which messages."""

    session_id: _SessionId
    limit: _Page = 200
    before: Annotated[str | None, "`next` of the page before"] = None


@record
class MessageList:
    """Oldest first; a page holds the latest ones before `before`."""

    messages: tuple[t.Message, ...]
    next: str | None = None


@record
class SearchParams:
    """What to look for in all sessions."""

    query: Annotated[str, "words; all must occur", Limit(min_length=1, max_length=1000)]
    limit: _Page = 20


@record
class SearchResult:
    """Best first."""

    messages: tuple[t.SearchHit, ...]


@record
class RenameParams:
    """A new title."""

    session_id: _SessionId
    title: Annotated[str, "the title", Limit(min_length=1, max_length=200)]


@record
class ForkParams:
    """Where to branch off."""

    session_id: _SessionId
    at: Annotated[str | None, "the last turn to keep; without it, all"] = None


@record
class ExportParams:
    """How to write it."""

    session_id: _SessionId
    format: Literal["md", "json"] = "md"


@record
class ExportResult:
    """The whole session as text."""

    text: str


@record
class SkillListParams:
    """Which skills."""

    cwd: Annotated[str | None, "where the user is"] = None


@record
class SkillList:
    """By name; broken ones have `error`."""

    skills: tuple[t.Skill, ...]


@record
class SkillNameParams:
    """Which skill."""

    name: Annotated[str, "its name", Limit(min_length=1, max_length=64)]


@record
class SkillDetail:
    """A skill with its instructions."""

    skill: t.Skill
    instructions: str


@record
class ValidateParams:
    """What to validate."""

    path: Annotated[str, "absolute path of a skill folder, SKILL.md or old YAML file", Limit(min_length=1)]


@record
class ValidateResult:
    """What is wrong with it, if anything."""

    ok: bool
    problems: tuple[str, ...]
    skill: t.Skill | None = None


@record
class ModelList:
    """What can be used or pulled."""

    models: tuple[t.Model, ...]


@record
class ModelRefParams:
    """Which model."""

    model: _Ref


@record
class ModelDetail:
    """One model."""

    model: t.Model
    metadata: Annotated[dict[str, Any], "scalar metadata of the file"]


@record
class ConfigParams:
    """Which settings."""

    section: Annotated[str | None, "one section"] = None


@record
class ConfigResult:
    """Every setting with its origin; secrets are shown as `***`."""

    settings: tuple[t.Setting, ...]


@record
class StatsResult:
    """Counts since the database was made."""

    sessions: int
    turns: int
    messages: int
    completion_tokens: int
    turns_by_state: dict[str, int]
    turns_by_model: dict[str, int]
    db_bytes: int


@record
class SubscribeParams:
    """Which events; the subscription ends with the connection."""

    topics: Annotated[tuple[t.Topic, ...], "at least one", Limit(min_length=1, max_length=4)]


@record
class Method:
    """One row of the table."""

    name: str
    doc: str
    params: type
    result: type | None
    events: tuple[type, ...] = ()
    errors: tuple[type[e.RpcError], ...] = ()


_TURN_EVENTS = (ev.TurnStarted, ev.TurnProgress, ev.TurnDelta, ev.TurnNotice, ev.TurnCompleted)
_TURN_ERRORS = (
    e.NotFound, e.SessionBusy, e.Overloaded, e.ContextOverflow, e.ModelUnavailable, e.WorkerDied, e.TurnCancelled,
    e.ShuttingDown, e.StorageUnavailable, e.Timeout,
)  # fmt: skip
_STORED = (e.NotFound, e.StorageUnavailable)


def _method(
    name: str,
    params: type,
    result: type | None,
    doc: str,
    *,
    events: tuple[type, ...] = (),
    errors: tuple[type[e.RpcError], ...] = (),
) -> Method:
    return Method(name=name, doc=doc, params=params, result=result, events=events, errors=errors)


_ROWS = (
    _method("hello", HelloParams, HelloResult, "Who is there. Optional.", errors=(e.VersionMismatch,)),
    _method("ping", NoParams, None, 'Gives `"pong"`.'),
    _method("rpc.discover", NoParams, None, "This table as an OpenRPC document."),
    _method("daemon.status", NoParams, DaemonStatus, "What runs, in numbers."),
    _method("daemon.shutdown", ShutdownParams, ShutdownResult, "Stop gracefully; the reply comes first."),
    _method("daemon.reload", NoParams, ReloadResult, "Read configuration and skills again."),
    _method("daemon.doctor", NoParams, DoctorResult, "Run every check of the daemon's side."),
    _method("turn.start", TurnStartParams, TurnResult, "Answer a message.", events=_TURN_EVENTS, errors=_TURN_ERRORS),
    _method("turn.cancel", TurnIdParams, Done, "End a running turn; its text so far is kept.", errors=(e.NotFound,)),
    _method(
        "turn.attach", TurnAttachParams, TurnResult,
        "Watch a turn: replay from `from_seq`, then live, then its result.", events=_TURN_EVENTS, errors=_TURN_ERRORS,
    ),
    _method("turn.list", TurnListParams, TurnList, "Running and recent turns.", errors=_STORED),
    _method("turn.show", TurnIdParams, TurnDetail, "One turn with all that running it again takes.", errors=_STORED),
    _method(
        "chat.complete", ChatParams, ChatResult, "Complete a conversation that the client keeps.",
        events=(ev.ChatDelta,),
        errors=(e.Overloaded, e.ContextOverflow, e.ModelUnavailable, e.WorkerDied, e.ShuttingDown),
    ),
    _method("session.list", SessionListParams, SessionList, "Stored sessions.", errors=(e.StorageUnavailable,)),
    _method("session.get", SessionIdParams, t.Session, "One session.", errors=_STORED),
    _method("session.messages", MessagesParams, MessageList, "Its messages.", errors=_STORED),
    _method("session.search", SearchParams, SearchResult, "Full-text search in all messages.", errors=_STORED),
    _method("session.rename", RenameParams, t.Session, "Give it a title.", errors=_STORED),
    _method("session.fork", ForkParams, t.Session, "Branch off a copy.", errors=_STORED),
    _method("session.export", ExportParams, ExportResult, "The session as Markdown or JSON.", errors=_STORED),
    _method(
        "session.delete", SessionIdParams, Done, "Remove it with its turns and messages.",
        errors=(e.SessionBusy, *_STORED),
    ),
    _method("skill.list", SkillListParams, SkillList, "All skills, broken ones with their reason."),
    _method("skill.get", SkillNameParams, SkillDetail, "One skill.", errors=(e.NotFound,)),
    _method("skill.validate", ValidateParams, ValidateResult, "Check a skill on disk."),
    _method("model.list", NoParams, ModelList, "Models on disk, configured and in the catalogue."),
    _method("model.show", ModelRefParams, ModelDetail, "One model.", errors=(e.NotFound, e.ModelUnavailable)),
    _method(
        "model.pull", ModelRefParams, t.Model, "Download a model, resume, verify.", events=(ev.ModelProgress,),
        errors=(e.NotFound, e.ModelUnavailable),
    ),
    _method("model.remove", ModelRefParams, Done, "Delete a pulled model's file.", errors=(e.NotFound,)),
    _method("model.load", ModelRefParams, t.Model, "Start its worker.", errors=(e.NotFound, e.ModelUnavailable)),
    _method("model.unload", ModelRefParams, Done, "End its worker.", errors=(e.NotFound,)),
    _method("model.default", ModelRefParams, t.Model, "Make it the default.", errors=(e.NotFound, e.ModelUnavailable)),
    _method("config.get", ConfigParams, ConfigResult, "Settings with their origins."),
    _method("stats.get", NoParams, StatsResult, "Counts.", errors=(e.StorageUnavailable,)),
    _method(
        "event.subscribe", SubscribeParams, Done, "Events of the whole daemon on this connection.",
        events=(ev.DaemonEvent,),
    ),
)  # fmt: skip

METHODS: dict[str, Method] = {row.name: row for row in _ROWS}
