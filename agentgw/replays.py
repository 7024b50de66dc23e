"""What is on record of a turn, so that it can be run again. Records only, as in `types`."""

from __future__ import annotations

from typing import Annotated, Any

from agentgw import types as t
from agentgw.schema import record


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
    content: Annotated[str | None, "what the model was told"] = None


@record
class TurnStep:
    """One step of a turn's model. The last one is the answer."""

    text: Annotated[str, "what it wrote; under a grammar that is the call itself"]
    calls: tuple[StepCall, ...] = ()
    finish_reason: t.FinishReason | None = None
    usage: t.Usage = t.Usage()
    prompt_sha256: Annotated[str | None, "of the rendered prompt"] = None


@record
class PromptHistory:
    """How the session's earlier turns were shown to the model where they were not shown whole."""

    left_out_turns: Annotated[int, "so many of the oldest were left out"] = 0
    summarised_turns: Annotated[int, "for so many of the oldest stood `summary`"] = 0
    summary: str | None = None
