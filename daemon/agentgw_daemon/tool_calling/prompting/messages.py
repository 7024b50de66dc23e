"""Calls and their results as messages of the conversation: for templates that know tools, and as plain text.

A result is data, never instruction: it is put where the template puts results, or in a fence under the tool's name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentgw.protocol.records.schema import record

ModelMessage = dict[str, Any]
_TICKS: Final = re.compile(r"`{3,}")


@record
class ToolOutcome:
    """A call of one step and what came of it. A call that is not `ok` failed and says so in `content`."""

    name: str
    arguments: Mapping[str, Any]
    content: str
    ok: bool = True


def native_step(outcomes: Sequence[ToolOutcome], *, text: str = "", first: int = 0) -> tuple[ModelMessage, ...]:
    """The model's message with its calls, and a message a result, in the shape that chat templates take.

    `text` is what it said before it called. `first` is how many calls the conversation has had.
    """
    ids = [call_id(first + number) for number in range(len(outcomes))]
    calls = [
        {"type": "function", "id": id_, "function": {"name": outcome.name, "arguments": dict(outcome.arguments)}}
        for id_, outcome in zip(ids, outcomes, strict=True)
    ]
    results = (
        {"role": "tool", "name": outcome.name, "tool_call_id": id_, "content": outcome.content}
        for id_, outcome in zip(ids, outcomes, strict=True)
    )
    return ({"role": "assistant", "content": text, "tool_calls": calls}, *results)


def native_error(malformed: str, reason: str) -> tuple[ModelMessage, ...]:
    """Messages that show the model what it wrote and why it is no call, so that it tries again."""
    return (
        {"role": "assistant", "content": malformed},
        {"role": "user", "content": f"That was not a valid tool call: {reason}. Write it again, or answer without it."},
    )


def plain_step(outcomes: Sequence[ToolOutcome]) -> tuple[ModelMessage, ...]:
    """A step for models that know no tools: each call as they write it, each result as the user's words."""
    made: list[ModelMessage] = []
    for outcome in outcomes:
        made.append({"role": "assistant", "content": written(outcome.name, outcome.arguments)})
        made.append({"role": "user", "content": result_text(outcome.name, outcome.content)})
    return tuple(made)


def steered(answer: str, text: str) -> tuple[ModelMessage, ...]:
    """Messages for what the user added, after the answer where there was one."""
    before = ({"role": "assistant", "content": answer},) if answer.strip() else ()
    return (*before, {"role": "user", "content": text})


def written(name: str, arguments: Mapping[str, Any]) -> str:
    """A call as a model without a form of its own writes it (see `steps`)."""
    return json.dumps({"tool": name, "arguments": arguments}, ensure_ascii=False, separators=(",", ":"))


def result_text(name: str, content: str) -> str:
    """A result under its tool's name, in a fence that it cannot end."""
    ticks = max((len(run) for run in _TICKS.findall(content)), default=2) + 1
    fence = "`" * ticks
    return f"{name}:\n{fence}\n{content.rstrip()}\n{fence}"


def call_id(number: int) -> str:
    """The id of a conversation's nth call: nine letters and digits, as the strictest templates (Mistral's) demand."""
    return f"call{number % 100_000:05d}"
