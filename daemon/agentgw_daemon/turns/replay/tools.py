"""The tools of a turn that is run again: what is on record answers, and nothing is ever carried out."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from typing import Final

import trio

from agentgw.protocol.calls.turns import ReplayCall, StepCall, TurnDetail
from agentgw_daemon.agent.loop import Emit
from agentgw_daemon.text.valid import read_json
from agentgw_daemon.tool_calling.answers.events import ModelToolCall
from agentgw_daemon.tool_calling.choosing.agents import DELEGATE
from agentgw_daemon.tool_calling.prompting.messages import ToolOutcome
from agentgw_daemon.tool_calling.repeats import canonical

NOT_RECORDED: Final = "error: this call was not made before, so there is no result. Answer without it."


class RecordedTools:
    """See `loop.Tools`. Equal calls are answered in the order in which they were recorded."""

    def __init__(self, detail: TurnDetail) -> None:
        names = frozenset(tool.name for tool in detail.tools)
        self.suggested_tools: Final = names if detail.tools_named else names & {DELEGATE}
        self.offered: Final = detail.tools
        # As `new`, until `comparison.compare_calls` has looked for them among the recorded ones.
        self.made: Final[list[ReplayCall]] = []
        self._left: Final[dict[str, deque[StepCall]]] = {}
        for call in recorded_calls(detail):
            if call.content is not None:
                self._left.setdefault(_key(call.tool or "", call.arguments), deque()).append(call)

    def recall(self, calls: Sequence[ModelToolCall]) -> None:
        """See Tools: a replay has no past."""

    async def carry_out(self, calls: Sequence[ModelToolCall], emit: Emit) -> list[ToolOutcome]:
        """See Tools. Watchers of a replay are told of no calls."""
        await trio.lowlevel.checkpoint()
        return [self._answer(call) for call in calls]

    def _answer(self, call: ModelToolCall) -> ToolOutcome:
        waiting = self._left.get(_key(call.name, call.arguments))
        known = waiting.popleft() if waiting else None
        self.made.append(
            ReplayCall(tool=call.name, arguments=normal(call.arguments), change="new", recorded=known is not None)
        )
        content = NOT_RECORDED if known is None else known.content or ""
        parsed = _parsed(call.arguments)
        arguments = parsed if isinstance(parsed, dict) else {}
        return ToolOutcome(
            name=call.name, arguments=arguments, content=content, ok=known is not None and bool(known.ok)
        )


def recorded_calls(detail: TurnDetail) -> tuple[StepCall, ...]:
    """The calls of a turn in order, those aside that were none."""
    if detail.steps:
        return tuple(call for step in detail.steps for call in step.calls if call.tool is not None)
    # A turn of before its steps were kept.
    return tuple(
        StepCall(tool=call.tool, arguments=json.dumps(call.arguments), ok=call.ok, content=call.content)
        for call in detail.tool_calls
    )


def normal(arguments: str) -> str:
    """One text for arguments that mean the same; what is no JSON stays as it is."""
    parsed = _parsed(arguments)
    if parsed is None:
        return arguments
    return json.dumps(parsed, sort_keys=True, separators=(", ", ": "), ensure_ascii=False)


def _key(tool: str, arguments: str) -> str:
    parsed = _parsed(arguments)
    return canonical(tool, parsed) if isinstance(parsed, dict) else f"{tool} {arguments}"


def _parsed(arguments: str) -> object:
    try:
        return read_json(arguments)
    except ValueError:
        return None
