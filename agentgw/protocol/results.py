"""Results of the methods. List results are objects with one plural key, and `next` where there is more."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from agentgw.protocol import types as t
from agentgw.protocol.calls import replays as rp
from agentgw.protocol.calls.doors import HttpStatus
from agentgw.protocol.calls.ingests import Reembedding
from agentgw.protocol.calls.projects import Project
from agentgw.protocol.schema import record


@record
class Done:
    """The answer of a method that has done its work and has nothing to tell."""

    ok: bool = True


@record
class HelloResult:
    """The daemon's name, version and process."""

    protocol: int
    version: str
    pid: int
    instance: Annotated[str, "new at every start of the daemon"]
    started_at: str
    busy: Annotated[bool, "turns are running, so an upgrade has to wait"]
    data_dir: Annotated[str, "the directory of its database"] = ""
    data_mark: Annotated[str, "device and inode of that directory, whose path is another one in a container"] = ""


@record
class DaemonStatus:
    """The state of the daemon: its connections, turns, models and memory."""

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
    turns: Annotated[int, "that have not ended"] = 0
    waiting: Annotated[int, "of these turns, for somebody's answer"] = 0
    reembedding: Annotated[Reembedding | None, "while documents are embedded anew"] = None
    http: Annotated[HttpStatus | None, "where HTTP is spoken"] = None
    rss_peak_bytes: Annotated[int, "the most memory since it started"] = 0
    descriptors: Annotated[int, "open files and sockets"] = 0
    descriptors_peak: Annotated[int, "the most since it started"] = 0


@record
class ShutdownResult:
    """The answer to a stop: accepted or not."""

    stopping: bool
    reason: Annotated[str | None, "why it goes on"] = None


@record
class BackupResult:
    """A backup that was made."""

    path: str
    size_bytes: int


@record
class ReloadResult:
    """The changes that re-reading the files brought."""

    changed: tuple[str, ...]
    restart_needed: Annotated[tuple[str, ...], "changes that wait for a restart"]
    notices: Annotated[tuple[str, ...], "for whoever made the change"] = ()


@record
class DoctorResult:
    """All checks, the healthy ones too."""

    ok: bool
    findings: tuple[t.Finding, ...]


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
    parts: Annotated[tuple[t.PromptPart, ...] | None, "of a dry run: the prompt in parts, in all `prompt_tokens`"] = (
        None
    )
    fit: Annotated[t.PromptFit | None, "of a dry run: the context, and what of the session a turn would leave out"] = (
        None
    )


@record
class TurnList:
    """Newest first."""

    turns: tuple[t.Turn, ...]
    next: str | None = None


@record
class TurnFailure:
    """The error that a turn ended with, as its `turn.start` gave it; the message is the turn's `error`."""

    code: int
    data: dict[str, Any] = field(default_factory=dict)


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
    prompt_sha256: Annotated[str | None, "of the rendered prompt; of the last one where there were steps"] = None
    tool_calls: Annotated[tuple[t.ToolCall, ...], "those that were made"] = ()
    sources: tuple[t.Chunk, ...] = ()
    failure: Annotated[TurnFailure | None, "of a failed turn, where it is on record"] = None
    own_system: Annotated[bool, "the request brought `system` along: it is not the skill's"] = False
    files: Annotated[tuple[str, ...], "names of the files; their texts are in `message`"] = ()
    schema: dict[str, Any] | None = None
    cwd: str | None = None
    seed: Annotated[int | None, "drawn for the turn; of use where `options` have none"] = None
    max_iterations: int | None = None
    tools: Annotated[tuple[rp.OfferedTool, ...], "what the model might call"] = ()
    tools_named: Annotated[bool, "the request named tools"] = False
    history: Annotated[rp.PromptHistory | None, "null: earlier turns were shown whole"] = None
    steps: Annotated[
        tuple[rp.TurnStep, ...], "all the model wrote, step by step; empty for turns before this was kept"
    ] = ()
    unreadable: Annotated[
        tuple[str, ...] | None, "parts of its record that went bad; what stands in their places is empty"
    ] = None
    rating: Annotated[t.Rating | None, "of its answer"] = None


@record
class ReplayResult:
    """A turn that was run again, beside what is on record of it."""

    turn_id: str
    session_id: str
    skill: str
    identical: Annotated[bool, "the same answer, the same calls in the same order, the same end"]
    similarity: Annotated[
        float,
        "of the answers, 0 to 1: twice the words and pairs of words they share, by how many both have",
    ]
    compared: Annotated[
        Literal["greedy", "seed", "loose", "chance"],
        "why the texts may be compared: no chance in it (`echo`); the request's seed, with which everything is computed"
        " anew both times. A difference may be chance where it is `loose` (no seed was given, so parts were computed"
        " before or together with others, which changes the last bits) or `chance` (an endpoint, or no seed on record)",
    ]
    prompt: Annotated[Literal["same", "different", "unknown"], "by their hashes, of each run's last step"]
    reasons: Annotated[tuple[str, ...], "what is not as it was, a sentence each"]
    calls: tuple[rp.ReplayCall, ...]
    recorded: rp.ReplaySide
    replayed: rp.ReplaySide


@record
class ApprovalList:
    """Questions that wait for an answer, the oldest first."""

    approvals: tuple[t.Approval, ...]


@record
class RuleList:
    """Rules that always allow a call, the oldest first."""

    rules: tuple[t.ApprovalRule, ...]


@record
class ChatResult:
    """The assistant's message."""

    message: t.ChatMessage
    finish_reason: t.FinishReason
    usage: t.Usage
    model: str


@record
class SessionList:
    """Latest first."""

    sessions: tuple[t.Session, ...]
    next: str | None = None


@record
class MessageList:
    """Oldest first; a page holds the latest ones before `before`."""

    messages: tuple[t.Message, ...]
    next: str | None = None


@record
class SearchResult:
    """Best first."""

    messages: tuple[t.SearchHit, ...]


@record
class ExportResult:
    """The whole session as text."""

    text: str


@record
class FeedbackList:
    """Latest first."""

    ratings: tuple[t.Feedback, ...]
    next: str | None = None


@record
class DocumentList:
    """The last written first."""

    documents: tuple[t.Document, ...]
    next: str | None = None


@record
class DocumentSearchResult:
    """Best first; each text once."""

    chunks: tuple[t.Chunk, ...]
    notice: Annotated[str | None, "a part of the search that could not be done, for a person"] = None


@record
class DocumentsDeleted:
    """The number of documents and chunks that went, or with `dry_run` would go."""

    documents: int
    chunks: Annotated[int, "that no other document of their collection holds"]


@record
class SkillList:
    """Skills by name; broken ones have `error`."""

    skills: tuple[t.Skill, ...]


@record
class SkillDetail:
    """A skill with its instructions."""

    skill: t.Skill
    instructions: str


@record
class RouteResult:
    """Every usable skill; the first is the one that `agent.default_skill = "auto"` takes."""

    skills: tuple[t.SkillMatch, ...]


@record
class SkillCosts:
    """Costs of skills by name; the broken ones and those without a model have `error`."""

    skills: tuple[t.SkillCost, ...]


@record
class ValidateResult:
    """Problems of a skill, if any."""

    ok: bool
    problems: tuple[str, ...]
    skill: t.Skill | None = None


@record
class ProjectList:
    """Projects by path; those that changed since they were trusted too."""

    projects: tuple[Project, ...]


@record
class ToolList:
    """Tools by name; those that cannot be used have `error`."""

    tools: tuple[t.Tool, ...]


@record
class ToolCallResult:
    """The result of a tool call."""

    ok: bool
    content: str


@record
class EmbedResult:
    """One vector of unit length a text, in their order."""

    embeddings: tuple[tuple[float, ...], ...]
    model: str
    dim: int


@record
class ModelList:
    """Models that can be used or pulled."""

    models: tuple[t.Model, ...]


@record
class ModelDetail:
    """One model."""

    model: t.Model
    metadata: Annotated[dict[str, Any], "scalar metadata of the file"]
    running: Annotated[t.Tuning | None, "the settings that its worker runs with"] = None
    tuned: Annotated[t.Tuning | None, "the settings that measuring found best: hold from the next load"] = None
    measured: Annotated[tuple[t.Measurement, ...] | None, "the figures that follows from"] = None


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
    feedback: Annotated[tuple[t.FeedbackCount, ...], "ratings by skill and model"] = ()
