"""Agents whose model follows a script."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import trio

from agentgw_daemon.inference.engine import EngineEvent, GenerationRequest, TextDelta
from agentgw_daemon.tool_calling.answers.events import ModelToolCall
from agentgw_daemon.tools.tool import CallFailed, CallPreview, FunctionTool, ToolContext, ToolSpec
from tests.polling import pause
from tests.turns.house import House, finished

Step = str | list[tuple[str, dict[str, Any] | str]]

# A step that calls the tool which has to be asked about.
CHANGE = [("change", {"text": "x"})]
# A call of a tool that looks, as a model without calls of its own writes it.
LOOK = '{"tool":"look","arguments":{"text":"a"}}'


def script(*steps: Step) -> Any:
    """The model: each step is an answer, or calls."""
    left = list(steps)

    async def speak(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        await trio.lowlevel.checkpoint()
        step = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(step, str):
            yield TextDelta(texts=(step,))
        else:
            for name, arguments in step:
                yield ModelToolCall(
                    name=name, arguments=arguments if isinstance(arguments, str) else json.dumps(arguments)
                )
        yield finished()

    return speak


def tool(name: str, done: list[str], *, effect: Any = "read", outbound: bool = False, untrusted: bool = False) -> Any:
    parameters = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}

    async def run(arguments: Mapping[str, Any], context: ToolContext) -> str:
        await trio.lowlevel.checkpoint()
        if arguments["text"].startswith("fail"):
            raise CallFailed(f"it is broken{arguments['text'][4:]}")
        done.append(f"{name} {arguments['text']}")
        return f"did {arguments['text']}"

    async def describe(arguments: Mapping[str, Any], context: ToolContext) -> CallPreview:
        await trio.lowlevel.checkpoint()
        return CallPreview(title=f"{name} {arguments['text']}")

    spec = ToolSpec(
        name=name, description=name, parameters=parameters, effect=effect, outbound=outbound, untrusted=untrusted
    )  # fmt: skip
    return FunctionTool(spec, run, describe)


def furnish(h: House, **options: Any) -> list[str]:
    done: list[str] = []
    h.tools = {
        "look": tool("look", done, untrusted=True),
        "change": tool("change", done, effect="write"),
        "post": tool("post", done, effect="network", outbound=True),
    }
    return done


async def answered(h: House, decision: Any) -> None:
    """Answer every question as it comes."""
    while True:
        for approval in h.services.approvals.list():
            await h.services.approvals.answer(approval.approval_id, decision)
        await pause()
