"""Turns: started, watched, steered, listed, taken apart and run again: `turn.*`."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from agentgw.protocol import types as t
from agentgw.protocol.calls.shared import DIRECTORY, AnswerSchema, Page, SessionRef
from agentgw.protocol.records.schema import Limit, record

_TurnId = Annotated[str, "the turn", Limit(min_length=1, max_length=64)]


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
    schema: AnswerSchema = None
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
    cwd: Annotated[str | None, "absolute path: where the user is", Limit(max_length=4096, pattern=DIRECTORY)] = None
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
class PrefillResult:
    """Outcome of a prefill. Its tokens are found again by a turn that begins alike, as long as the model keeps them."""

    model: str
    prompt_tokens: Annotated[int, "of the prompt as it would be sent; 0: nothing was computed"] = 0
    cached_tokens: Annotated[int, "of these, the ones that were there already"] = 0
    reason: Annotated[str | None, "why nothing was computed"] = None


@record
class TurnIdParams:
    """The id of a turn."""

    turn_id: _TurnId


@record
class TurnSteerParams:
    """Words for a running turn."""

    turn_id: _TurnId
    text: Annotated[str, "what the user says, in their own words", Limit(min_length=1)]


@record
class TurnAttachParams:
    """The turn to watch, and the number of the first event wanted."""

    turn_id: Annotated[str, "a turn, or a session: its running or latest turn", Limit(min_length=1, max_length=64)]
    from_seq: Annotated[int, "first notification wanted", Limit(minimum=1)] = 1


@record
class TurnListParams:
    """A choice of turns."""

    session_id: SessionRef | None = None
    running: Annotated[bool, "only those that have not ended"] = False
    limit: Page = 50
    before: Annotated[str | None, "`next` of the page before"] = None


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
class OfferedTool:
    """A tool as a turn's model was shown it."""

    name: str
    description: str
    parameters: Annotated[dict[str, Any], "JSON Schema of its arguments"]


@record
class StepCall:
    """A call as the model wrote it, and what it was told of it."""

    tool: Annotated[str | None, "null: it began as a call and is none"] = None
    arguments: Annotated[str, "as written"]
    ok: Annotated[bool | None, "null: the turn ended before the call"] = None
    content: Annotated[str | None, "the result as the model was told it"] = None


@record
class TurnStep:
    """One step of a turn's model. The last one is the answer."""

    text: Annotated[str, "the text it wrote; under a grammar that is the call itself"]
    calls: tuple[StepCall, ...] = ()
    finish_reason: t.FinishReason | None = None
    usage: t.Usage = t.Usage()
    prompt_sha256: Annotated[str | None, "of the rendered prompt"] = None
    steered: Annotated[tuple[str, ...], "what the user added after it"] = ()


@record
class PromptHistory:
    """Text that the model was shown beside the message, and in place of earlier turns that were not shown whole."""

    left_out_turns: Annotated[int, "the number of the oldest that were left out"] = 0
    summarised_turns: Annotated[int, "for so many of the oldest stood `summary`"] = 0
    summary: str | None = None
    excerpts: Annotated[tuple[t.Chunk, ...], "of the user's documents, shown before the message"] = ()


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
    tools: Annotated[tuple[OfferedTool, ...], "what the model might call"] = ()
    tools_named: Annotated[bool, "the request named tools"] = False
    history: Annotated[PromptHistory | None, "null: earlier turns were shown whole"] = None
    steps: Annotated[
        tuple[TurnStep, ...], "all the model wrote, step by step; empty for turns before this was kept"
    ] = ()
    unreadable: Annotated[
        tuple[str, ...] | None, "parts of its record that went bad; what stands in their places is empty"
    ] = None
    rating: Annotated[t.Rating | None, "of its answer"] = None


@record
class TurnParts:
    """The first prompt of a stored turn by its parts, which make up the whole."""

    turn_id: str
    tokens: int
    parts: tuple[t.PromptPart, ...]
    n_ctx_tokens: Annotated[int | None, "the context; not known of an endpoint"] = None
    estimated: Annotated[bool, "true: all counts are estimates, for the tokenizer is not at hand"] = False


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
class ReplaySide:
    """One of the two runs: as recorded, or again."""

    model: str
    text: str
    finish_reason: t.FinishReason | None = None
    error: Annotated[str | None, "why it failed"] = None
    usage: t.Usage = t.Usage()
    timings: t.Timings = t.Timings()
    prompt_sha256: str | None = None
    model_sha256: str | None = None
    engine: str | None = None


@record
class ReplayCall:
    """A tool call of either run."""

    tool: str
    arguments: Annotated[str, "JSON"]
    change: Annotated[
        Literal["same", "missing", "new"], "missing: it was not made again; new: only the second run made it"
    ]
    recorded: Annotated[bool, "its result was on record; the model was told so where it was not, and nothing was done"]


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
    calls: tuple[ReplayCall, ...]
    recorded: ReplaySide
    replayed: ReplaySide
