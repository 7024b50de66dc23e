"""Records of a turn that let it be run again. Records only, as in `types`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from agentgw.protocol import types as t
from agentgw.protocol.schema import record


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
class TurnParts:
    """The first prompt of a stored turn by its parts, which make up the whole."""

    turn_id: str
    tokens: int
    parts: tuple[t.PromptPart, ...]
    n_ctx_tokens: Annotated[int | None, "the context; not known of an endpoint"] = None
    estimated: Annotated[bool, "true: all counts are estimates, for the tokenizer is not at hand"] = False


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
