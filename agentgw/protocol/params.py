"""Parameters of each method: one record a method, `NoParams` where it takes nothing."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from agentgw.protocol import types as t
from agentgw.protocol.schema import Limit, record

# NUL ends a path for the system, and is in no name.
_NAME = r"[^\0]+"
# A relative path would begin where the daemon is, and `~` be a name. Empty: no directory is known.
_DIRECTORY = r"(/[^\0]*)?"
_Page = Annotated[int, "at most so many", Limit(minimum=1, maximum=1000)]
_SessionId = Annotated[str, "the session, or a unique prefix of its id", Limit(min_length=1, max_length=64)]
_TurnId = Annotated[str, "the turn", Limit(min_length=1, max_length=64)]
_Cwd = Annotated[
    str | None,
    "absolute path: where the user is; the skills of a trusted project count there",
    Limit(max_length=4096, pattern=_DIRECTORY),
]
_Path = Annotated[
    str, "absolute path of the project or a directory in it", Limit(min_length=1, max_length=4096, pattern=_NAME)
]
_Ref = Annotated[str, "a model reference", Limit(min_length=1, max_length=4096)]
_Schema = Annotated[
    dict[str, Any] | None,
    "a JSON Schema: the answer is JSON that meets it, or the error is SchemaUnmet; `stop` does not apply",
]


@record
class NoParams:
    """No parameters."""


@record
class HelloParams:
    """The client's name and version."""

    client: Annotated[str, "the program's name", Limit(max_length=100)]
    version: Annotated[str, "its version", Limit(max_length=100)]
    protocol: Annotated[int, "the wire's version it speaks"]


@record
class ShutdownParams:
    """The way to stop."""

    upgrade: Annotated[bool, "stop only when idle: a newer client wants to start its own version"] = False


@record
class BackupParams:
    """The place of a backup."""

    path: Annotated[str, "absolute; not among the daemon's own files", Limit(min_length=1, max_length=4096)]
    force: Annotated[bool, "replace a file that is there"] = False


@record
class TurnStartParams:
    """A user message and how to answer it."""

    message: Annotated[str, "the user's words"]
    piped: Annotated[
        bool, "the message holds text that was not typed: calls that can carry data out are then always asked about"
    ] = False
    skill: Annotated[str | None, "`general_assistant` and `general-assistant` are the same", Limit(max_length=64)] = (
        None
    )
    session_id: Annotated[str | None, "continue this session", Limit(min_length=1, max_length=64)] = None
    model: Annotated[str | None, "a model reference", Limit(min_length=1, max_length=4096)] = None
    system: Annotated[str | None, "replaces the skill's instructions"] = None
    options: t.Options | None = None
    schema: _Schema = None
    files: Annotated[
        tuple[t.File, ...], "appended to the message; data, like what is piped", Limit(max_length=100)
    ] = ()
    tools: Annotated[
        tuple[str, ...] | None, "the only ones the model may call; empty: none", Limit(max_length=1000)
    ] = None
    max_iterations: Annotated[int | None, "the most steps of the model", Limit(minimum=1, maximum=1000)] = None
    approvals: Annotated[
        tuple[Annotated[str, Limit(min_length=1, max_length=200)], ...] | None,
        "tools that may run without being asked about, and `ask` (the default) or `deny` for what else needs a yes",
        Limit(max_length=100),
    ] = None
    cwd: Annotated[str | None, "absolute path: where the user is", Limit(max_length=4096, pattern=_DIRECTORY)] = None
    ephemeral: Annotated[bool, "store nothing"] = False
    detach: Annotated[
        bool, "answer at once and go on when the client leaves; without `max_tokens`, `agent.detached_max_tokens` holds"
    ] = False
    whole: Annotated[
        bool,
        "only the whole answer is wanted, as the result has it: no `turn.delta`, and its tokens hold no prompt up",
    ] = False
    timeout_s: Annotated[
        float | None, "the turn fails with Timeout when it has not ended by then", Limit(minimum=0.001, maximum=1e9)
    ] = None
    dry_run: Annotated[
        bool, "run nothing: `text` is the prompt as a turn would send it, `parts` and `fit` count it"
    ] = False
    idempotency_key: Annotated[
        str | None,
        "the same key never runs twice: it gives the first turn's result",
        Limit(min_length=1, max_length=200),
    ] = None


@record
class TurnIdParams:
    """The id of a turn."""

    turn_id: _TurnId


@record
class TurnReplayParams:
    """The turn to run again, and what may be other than it was."""

    turn_id: Annotated[str, "a turn, or a session: its latest turn", Limit(min_length=1, max_length=64)]
    model: Annotated[str | None, "another model than the recorded one", Limit(min_length=1, max_length=4096)] = None
    skill_text: Annotated[
        Literal["recorded", "current"], "current: the skill's instructions and temperature as they are now"
    ] = "recorded"
    background: Annotated[bool, "compute only while nothing else wants to"] = False


@record
class TurnAttachParams:
    """The turn to watch, and the number of the first event wanted."""

    turn_id: Annotated[str, "a turn, or a session: its running or latest turn", Limit(min_length=1, max_length=64)]
    from_seq: Annotated[int, "first notification wanted", Limit(minimum=1)] = 1


@record
class TurnListParams:
    """A choice of turns."""

    session_id: _SessionId | None = None
    running: Annotated[bool, "only those that have not ended"] = False
    limit: _Page = 50
    before: Annotated[str | None, "`next` of the page before"] = None


@record
class ApprovalAnswerParams:
    """A yes or a no to a tool call."""

    approval_id: Annotated[str, "the approval", Limit(min_length=1, max_length=64)]
    decision: Annotated[
        t.Decision, "the same tool, arguments and directory are not asked about again: in this session, or always"
    ]


@record
class RuleIdParams:
    """The id of a rule."""

    rule_id: Annotated[str, "the rule", Limit(min_length=1, max_length=64)]


@record
class ChatParams:
    """A stateless completion in the OpenAI shape."""

    messages: Annotated[tuple[t.ChatMessage, ...], "the whole conversation", Limit(min_length=1, max_length=1000)]
    model: _Ref | None = None
    options: t.Options | None = None
    schema: _Schema = None


@record
class EmbedParams:
    """Texts to turn into vectors."""

    texts: Annotated[tuple[str, ...], "each is cut to the embedder's window", Limit(min_length=1, max_length=256)]
    purpose: Annotated[
        Literal["query", "document"], "which of the embedder's prompts, if it has any, is put before each text"
    ] = "query"


@record
class SessionListParams:
    """A choice of sessions."""

    limit: _Page = 50
    before: Annotated[str | None, "`next` of the page before"] = None
    cwd: Annotated[str | None, "absolute path: only those started there", Limit(pattern=_DIRECTORY)] = None


@record
class SessionIdParams:
    """The id of a session."""

    session_id: _SessionId


@record
class MessagesParams:
    """A choice of messages."""

    session_id: _SessionId
    limit: _Page = 200
    before: Annotated[str | None, "`next` of the page before"] = None


@record
class SearchParams:
    """Words to look for in all sessions."""

    query: Annotated[str, 'words, "phrases" and beginnings*; all must occur', Limit(min_length=1, max_length=1000)]
    limit: _Page = 20


@record
class RenameParams:
    """A new title."""

    session_id: _SessionId
    title: Annotated[str, "the title", Limit(min_length=1, max_length=200)]


@record
class ForkParams:
    """The place to branch off."""

    session_id: _SessionId
    at: Annotated[str | None, "the last turn to keep; without it, all"] = None


@record
class ExportParams:
    """The form of the export."""

    session_id: _SessionId
    format: Literal["md", "json"] = "md"


@record
class FeedbackAddParams:
    """A rating of a turn."""

    rating: Annotated[t.Rating, "1: good, -1: bad"]
    turn_id: Annotated[
        str | None,
        "a turn, or a session: its last one; without it the last turn of all",
        Limit(min_length=1, max_length=64),
    ] = None
    cwd: Annotated[
        str | None,
        "absolute path; without `turn_id`: the last turn of the sessions started there",
        Limit(max_length=4096, pattern=_DIRECTORY),
    ] = None
    comment: Annotated[str | None, "why", Limit(max_length=10_000)] = None


@record
class FeedbackListParams:
    """A choice of ratings."""

    limit: _Page = 50
    before: Annotated[str | None, "`next` of the page before"] = None
    skill: Annotated[str | None, "only of this skill's answers", Limit(max_length=64)] = None
    model: Annotated[str | None, "only of this model's answers", Limit(max_length=4096)] = None
    rating: Annotated[t.Rating | None, "only these"] = None


@record
class SkillListParams:
    """A choice of skills."""

    cwd: _Cwd = None


@record
class SkillNameParams:
    """The name of a skill."""

    name: Annotated[str, "its name", Limit(min_length=1, max_length=64)]
    cwd: _Cwd = None


@record
class RouteParams:
    """The message to find a skill for."""

    message: Annotated[str, "the user's words", Limit(min_length=1)]
    cwd: _Cwd = None


@record
class SkillCostParams:
    """Names of the skills to measure."""

    name: Annotated[str | None, "one skill; without it, all", Limit(min_length=1, max_length=64)] = None
    cwd: _Cwd = None


@record
class ValidateParams:
    """The skill to validate."""

    path: Annotated[
        str, "absolute path of a skill folder, SKILL.md or old YAML file", Limit(min_length=1, pattern=_NAME)
    ]


@record
class ProjectParams:
    """The directory of a project."""

    path: _Path


@record
class TrustParams:
    """The project to trust, as it was shown."""

    path: _Path
    sha256: Annotated[str, "as `skill.project` gave it: nothing else is trusted", Limit(pattern=r"[0-9a-f]{64}")]


@record
class ToolCallParams:
    """The tool to call, and its arguments."""

    tool: Annotated[str, "its name", Limit(min_length=1, max_length=64)]
    arguments: Annotated[dict[str, Any], "what it is given, by name"] = field(default_factory=dict)
    cwd: Annotated[str | None, "absolute path: where the user is", Limit(max_length=4096, pattern=_DIRECTORY)] = None
    approvals: Annotated[tuple[str, ...] | None, "as of turn.start", Limit(max_length=1000)] = None


_Label = Annotated[str, Limit(min_length=1, max_length=200)]
_Collection = Annotated[str | None, "one collection; without it, all", Limit(min_length=1, max_length=200)]


@record
class DocumentSearchParams:
    """Words to find in the user's documents."""

    query: Annotated[str, 'words, or a question; "in quotes" a phrase', Limit(min_length=1, max_length=10_000)]
    k: Annotated[int | None, "the number of chunks; without it, `rag.top_k`", Limit(minimum=1, maximum=100)] = None
    collection: _Collection = None
    skills: Annotated[tuple[_Label, ...], "only what any of these sees", Limit(max_length=100)] = ()
    tags: Annotated[tuple[_Label, ...], "only documents with any of these", Limit(max_length=100)] = ()
    cwd: _Cwd = None


@record
class DocumentListParams:
    """A choice of documents; all that is given must hold."""

    limit: _Page = 50
    before: Annotated[str | None, "`next` of the page before"] = None
    collection: _Collection = None
    source: Annotated[str | None, "a part of the source, whatever the case", Limit(min_length=1, max_length=4096)] = (
        None
    )
    skills: Annotated[tuple[_Label, ...], "labelled with any of these", Limit(max_length=100)] = ()
    tags: Annotated[tuple[_Label, ...], "with any of these", Limit(max_length=100)] = ()
    cwd: _Cwd = None


@record
class DocumentDeleteParams:
    """A choice of documents to remove; all that is given must hold, and something must be given."""

    sources: Annotated[
        tuple[Annotated[str, Limit(min_length=1, max_length=8192)], ...],
        "of any of these sources, or below one that is a folder",
        Limit(max_length=1000),
    ] = ()
    ids: Annotated[
        tuple[Annotated[str, Limit(min_length=1, max_length=64)], ...],
        "any of these, or unique prefixes",
        Limit(max_length=1000),
    ] = ()
    collection: _Collection = None
    dry_run: Annotated[bool, "remove nothing: say how much it would be"] = False


@record
class ModelRefParams:
    """The reference of a model."""

    model: _Ref


@record
class SubscribeParams:
    """The events wanted; the subscription ends with the connection."""

    topics: Annotated[tuple[t.Topic, ...], "at least one", Limit(min_length=1, max_length=4)]
