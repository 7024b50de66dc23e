"""The values that cross the socket. Records only: no behaviour, no I/O.

Times are RFC 3339 in UTC; identifiers are opaque strings made by the daemon.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NewType

from agentgw.protocol.records.schema import Limit, record

SessionId = NewType("SessionId", str)
TurnId = NewType("TurnId", str)
MessageId = NewType("MessageId", str)

TurnStatus = Literal["queued", "running", "waiting", "completed", "cancelled", "failed", "interrupted"]
FinishReason = Literal["stop", "length", "cancelled", "iteration_limit"]
Role = Literal["system", "user", "assistant", "tool"]
Channel = Literal["answer", "reasoning"]
Topic = Literal["turns", "jobs", "models", "approvals"]
Rating = Literal[1, -1]

Decision = Literal["allow_once", "allow_session", "allow_always", "deny"]


@record
class Options:
    """Sampling options; what is left out is the skill's, then the model's default."""

    temperature: Annotated[float | None, "0 is greedy", Limit(minimum=0, maximum=10)] = None
    top_k: Annotated[int | None, "keep the k likeliest tokens; 0 keeps all", Limit(minimum=0)] = None
    top_p: Annotated[float | None, "nucleus sampling", Limit(minimum=0, maximum=1)] = None
    min_p: Annotated[float | None, "least probability relative to the likeliest token", Limit(minimum=0, maximum=1)] = (
        None
    )
    repeat_penalty: Annotated[float | None, "1 is none", Limit(minimum=0, maximum=10)] = None
    seed: Annotated[int | None, "same seed, same text", Limit(minimum=0, maximum=2**32 - 2)] = None
    max_tokens: Annotated[int | None, "most tokens of the answer", Limit(minimum=1)] = None
    stop: Annotated[tuple[Annotated[str, Limit(min_length=1)], ...] | None, "strings that end the answer"] = None


@record
class Usage:
    """Tokens of one answer."""

    prompt_tokens: int = 0
    cached_tokens: Annotated[int, "prompt tokens that were still in the KV cache"] = 0
    completion_tokens: int = 0


@record
class Timings:
    """Milliseconds that each part of one answer took."""

    queue_ms: float = 0.0
    load_ms: float = 0.0
    prefill_ms: float = 0.0
    first_token_ms: Annotated[float, "from the start of the turn to its first token"] = 0.0
    decode_ms: float = 0.0
    decode_tokens_per_s: float = 0.0


@record
class PromptPart:
    """The share of one part in a prompt."""

    name: Annotated[str, "the part, as `skill NAME`, `tool NAME`, `earlier turns` or `file NAME`"]
    tokens: int


@record
class PromptFit:
    """The fit of a prompt in its model's context. What is left out is no part of the prompt."""

    n_ctx_tokens: Annotated[int | None, "the context; not known of an endpoint"] = None
    left_out_turns: Annotated[int, "the number of the oldest turns that do not fit"] = 0
    left_out_tokens: int = 0
    estimated: Annotated[bool, "true: all counts are estimates, for the tokenizer is not at hand"] = False
    summarised_turns: Annotated[int, "the number of the oldest turns that are shown as a summary"] = 0
    to_summarise_turns: Annotated[int, "the number that the turn would first summarise; here they are left out"] = 0


@record
class File:
    """A file handed along with a message: its text travels, not its path."""

    name: Annotated[str, "shown to the model", Limit(min_length=1, max_length=4096)]
    text: str
    typed: Annotated[bool, "the user wrote it at a terminal: their own words, no data"] = False


@record
class ToolCall:
    """A call the model made."""

    call_id: str
    tool: str
    arguments: dict[str, Any]
    ok: bool | None = None
    content: str | None = None


@record
class Approval:
    """A tool call that waits for somebody's yes. Nobody's answer by `expires_at` is a no."""

    approval_id: str
    tool: str
    arguments: Annotated[dict[str, Any], "exactly as the tool would get them"]
    cwd: str
    turn_id: str | None = None
    session_id: str | None = None
    title: Annotated[str | None, "the effect of the call, escaped for a terminal"] = None
    details: Annotated[tuple[str, ...] | None, "more of it, a line each, escaped"] = None
    diff: Annotated[str | None, "a unified diff of the file it would change, escaped"] = None
    asked_at: str
    expires_at: str


@record
class ApprovalRule:
    """A rule that `allow_always` left behind: exactly this call is not asked about."""

    rule_id: str
    tool: str
    arguments: dict[str, Any]
    cwd: str
    created_at: str


@record
class Chunk:
    """A piece of a document."""

    document_id: str
    source: str
    text: str
    score: Annotated[float, "1: the best by words and by meaning; only its order means anything"]
    title_path: str
    lines: Annotated[tuple[int, ...], "first and last line, from 1"]
    similarity: Annotated[float | None, "cosine to the query; null: its vector was not compared"] = None
    snippet: Annotated[str | None, "the part of the text with most of the words, these between « and »"] = None
    also_in: Annotated[tuple[str, ...] | None, "other sources that say the same, the first hundred"] = None


@record
class Document:
    """A document whose chunks can be found."""

    document_id: str
    source: Annotated[str, "its path, or the name it was given; bytes that are no UTF-8 as `\\xff`"]
    collection: str
    title: str
    format: Annotated[str, "as what it was read: text, markdown, pdf …"]
    size_bytes: int
    chunks: int
    sha256: Annotated[str, "of its bytes"]
    skills: Annotated[tuple[str, ...], "the only ones that see it; none: all do"]
    tags: tuple[str, ...]
    created_at: str
    updated_at: str


@record
class Turn:
    """A user message to the final answer."""

    turn_id: str
    session_id: str
    skill: str
    model: str
    state: TurnStatus
    created_at: str
    finished_at: str | None = None
    finish_reason: FinishReason | None = None
    error: Annotated[str | None, "why it failed"] = None
    last_seq: Annotated[int, "number of its last notification"] = 0
    detached: Annotated[bool | None, "true: it runs, and no connection keeps it from running on"] = None


@record
class Message:
    """One stored message of a session."""

    id: str
    turn_id: str
    role: Role
    content: str
    created_at: str
    interrupted: Annotated[bool | None, "true: cut off by a crash, kept as far as it came"] = None
    tool_calls: Annotated[tuple[ToolCall, ...] | None, "the calls of its turn, on the turn's last message"] = None


@record
class ChatMessage:
    """A message in the OpenAI shape, for `chat.complete`."""

    role: Role
    content: str


@record
class Session:
    """A stored conversation."""

    session_id: str
    title: str
    skill: str
    created_at: str
    updated_at: str
    turns: Annotated[int, "the number of turns"] = 0
    cwd: Annotated[str | None, "where it was started"] = None
    parent_id: Annotated[str | None, "the session it was forked from, or that delegated to it"] = None
    delegated_by: Annotated[str | None, "the turn that delegated to it"] = None


@record
class SearchHit:
    """A message that matches a search."""

    session_id: str
    turn_id: str
    title: str
    role: Role
    snippet: Annotated[str, "the match between « and »"]
    created_at: str


@record
class Feedback:
    """Somebody's rating of an answer."""

    turn_id: str
    session_id: str
    rating: Annotated[Rating, "1: good, -1: bad"]
    created_at: Annotated[str, "when it was given, or given anew"]
    skill: str
    model: str
    message: Annotated[str, "the start of what was asked"]
    comment: str | None = None


@record
class FeedbackCount:
    """Ratings of one skill's answers with one model."""

    skill: str
    model: str
    good: int
    bad: int


@record
class Skill:
    """A skill as the loader sees it; a broken one has `error` and cannot be used."""

    name: str
    description: str
    tier: Annotated[str, "shipped, agents, user, project-agents or project"]
    path: str
    error: str | None = None
    remedy: Annotated[str | None, "a command that makes it usable"] = None
    license: str | None = None
    model: str | None = None
    temperature: float | None = None
    max_iterations: int | None = None
    sub_agents: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    allowed_tools: tuple[str, ...] | None = None


@record
class SkillMatch:
    """The fit of a skill for a message."""

    name: str
    score: Annotated[float, "of the words they share; only its order means anything"]
    reason: Annotated[str, "the ground of the choice: `words: summarize, document` or `chosen by MODEL`"]


@record
class SkillCost:
    """The cost of a skill's instructions with its model, here and now; what kept it from being measured is `error`."""

    name: str
    model: str | None = None
    tokens: Annotated[int | None, "of its instructions"] = None
    estimated: Annotated[bool | None, "true: `tokens` is an estimate, and an endpoint is not timed"] = None
    share: Annotated[float | None, "`tokens` in the model's context, which is 1; not known of an endpoint"] = None
    prompt_tokens: Annotated[int | None, "of the prompt that was timed: instructions, template, a word"] = None
    cold_ms: Annotated[float | None, "to read that prompt with nothing of it computed"] = None
    warm_ms: Annotated[float | None, "to read it again"] = None
    cached_tokens: Annotated[int | None, "tokens of it that the second reading found computed"] = None
    first_token_ms: Annotated[float | None, "from asking cold to the first word, without the wait for a slot"] = None
    error: str | None = None


@record
class Model:
    """A model that can be used, or pulled."""

    name: str
    state: Annotated[Literal["available", "loading", "loaded", "not_pulled"], "available: on disk or configured"]
    source: Annotated[str, "builtin, file, hub, index or provider"]
    default: bool = False
    path: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    digest: Annotated[
        Literal["pinned", "hub"] | None, "who says what the sha256 must be: agentgw's catalogue, or the hub when pulled"
    ] = None
    licence: str | None = None
    description: str | None = None
    architecture: str | None = None
    n_ctx_train_tokens: int | None = None
    embedder: Annotated[bool | None, "true: it turns text into vectors and answers nothing"] = None


@record
class Worker:
    """A child process."""

    pid: int
    kind: Literal["model", "retrieval"]
    rss_bytes: int
    slots: int
    busy: int
    model: str | None = None
    tokens_per_s: Annotated[float, "now, of all its streams; while none runs, of its last answer"] = 0.0
    detail: Annotated[str | None, "its settings, and what could not be done as asked"] = None


@record
class Tool:
    """A function that a model may call; one with `error` cannot be used."""

    name: str
    description: str
    source: Annotated[str, "builtin, own, program or mcp"]
    effect: Annotated[Literal["none", "read", "write", "command", "network"] | None, "what a call may do"] = None
    parameters: Annotated[dict[str, Any] | None, "JSON Schema of its arguments"] = None
    error: str | None = None


@record
class SchedulerStatus:
    """The scheduler in `daemon.status`."""

    enabled: bool
    jobs_count: int
    jobs: tuple[str, ...]


@record
class ServiceStatus:
    """The provider and the model that answer a turn which names none."""

    provider: str
    model: str


@record
class Finding:
    """The result of one check of `doctor`."""

    check: Annotated[str, "its stable name"]
    severity: Literal["ok", "info", "warning", "error"]
    message: str
    fix: Annotated[str | None, "the remedy"] = None


@record
class Setting:
    """One configuration value."""

    key: Annotated[str, "section.key"]
    value: Any
    origin: Annotated[str, "default, a file's path, an environment variable's name, or the command that chose it"]
    about: Annotated[str | None, "the meaning of the value"] = None
