"""The first thing that a turn sends: its prompt, with its tools in whichever way the model takes them.

Used to count what really goes, for the context has to hold the tools as well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from agentgw.protocol.calls.turns import OfferedTool
from agentgw.protocol.records.schema import record
from agentgw_daemon.agent.loop import Emit, Tools, tool_calling_of
from agentgw_daemon.agent.tool_dialect import Step, begin
from agentgw_daemon.inference.engine import Engine, PromptCount, PromptMessage, ToolCallingMode, as_mapping


@record
class TurnOpening:
    """Beginning of a turn with these tools. `tool_calling` None: the model is shown none."""

    engine: Engine
    tool_calling: ToolCallingMode | None = None
    offered: tuple[OfferedTool, ...] = ()
    suggested_tools: Collection[str] = ()
    schema: Mapping[str, Any] | None = None

    def step(self, messages: Sequence[PromptMessage], tools: int | None = None) -> Step:
        """The first step of a turn with this prompt; `tools`: with the first so many of its tools."""
        return begin(
            messages, self.offered[:tools], self.tool_calling, self.schema, suggested_tools=self.suggested_tools
        ).next_step()

    def leads(self, messages: Sequence[PromptMessage]) -> bool:
        """Tells whether a weak model is led to a call: the first step then is a prompt of its own with
        little of this one.
        """
        return self.tool_calling is not None and self.tool_calling.narrow and self.step(messages).hidden

    def shows_tools(self, messages: Sequence[PromptMessage]) -> bool:
        """Tells whether the tools are a part of the prompt."""
        if self.tool_calling is None or self.leads(messages):
            return False
        step = self.step(messages)
        return bool(step.tools) or [*map(as_mapping, step.messages)] != [*map(as_mapping, messages)]

    async def count(self, messages: Sequence[PromptMessage], tools: int | None = None) -> PromptCount:
        """Count the prompt with what the tools add to it."""
        if self.tool_calling is None or self.leads(messages):
            return await self.engine.count(messages)
        step = self.step(messages, tools)
        return await self.engine.count(step.messages, step.tools)


async def opening_of(
    engine: Engine, tools: Tools | None, schema: Mapping[str, Any] | None, emit: Emit | None = None
) -> TurnOpening:
    """The beginning of a turn with these tools. Where there are any, the model is loaded to know how it calls them;
    `emit` is told of that.
    """
    if tools is None or not tools.offered:
        return TurnOpening(engine=engine, schema=schema)
    tool_calling = await (engine.tool_calling() if emit is None else tool_calling_of(engine, emit))
    return TurnOpening(
        engine=engine,
        tool_calling=tool_calling,
        offered=tools.offered,
        suggested_tools=tools.suggested_tools,
        schema=schema,
    )
