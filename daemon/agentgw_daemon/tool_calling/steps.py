"""Tools for models whose template knows none: a plan of generations, each with its prompt and, for calls, a schema.

Calls are written under a grammar, so their arguments always have the tool's form; the answer is free text and streams.
Two plans. `WideSteps` shows all tools and lets the model choose; its prompts only ever grow at the end, so that the KV
cache keeps what was computed. `NarrowSteps` is for models of some hundred million parameters, which cannot choose: the
words of the request choose one tool or none, and the model fills in the arguments after a few examples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from agentgw.protocol.calls.turns import OfferedTool
from agentgw.protocol.records.schema import record
from agentgw_daemon.tool_calling.answers.events import Malformed, ModelToolCall
from agentgw_daemon.tool_calling.answers.reading import CUT_OFF, NO_JSON, load
from agentgw_daemon.tool_calling.answers.reading import call as call_event
from agentgw_daemon.tool_calling.choosing.agents import DELEGATE, is_handed_on, narrowed, passed_on
from agentgw_daemon.tool_calling.choosing.relevance import rank
from agentgw_daemon.tool_calling.prompting.few_shot import view
from agentgw_daemon.tool_calling.prompting.messages import ModelMessage, ToolOutcome, plain_step, steered, written
from agentgw_daemon.tool_calling.prompting.view import ToolView, signature
from agentgw_daemon.tool_calling.schemas import ANSWER, call_schema, can_serve, step_schema

# Under a grammar a call fails only by being cut off, and would be again.
_MOST_MALFORMED: Final = 2
# A file of some hundred lines may be written at once; a weak model goes on for ever if it may.
_CALL_TOKENS: Final = 4096
_SHORT_CALL_TOKENS: Final = 256
_SHORTEST_TOKENS: Final = 32
_GO_ON: Final = "Now the answer, in plain words."
_ANSWERING: Final = ToolView(
    name=ANSWER,
    description="",
    parameters={},
    keywords=(
        "explain", "translate", "joke", "poem", "story", "recipe", "tell", "hello", "hi", "thanks", "thank", "morning",
        "mean", "meaning", "difference", "advice", "capital", "email", "letter", "summary",
    ),
)  # fmt: skip


@record
class StepPrompt:
    """The next generation: its whole prompt. Without a schema it is the answer, which ends the turn."""

    messages: tuple[ModelMessage, ...]
    schema: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    # It is to say again what it was told; a penalty for repeating would keep it from that.
    verbatim: bool = False


class GuidedSteps(Protocol):
    """The generations of one turn. Ask, generate, feed; a call's outcome goes back with `add`, and again."""

    def next_step(self) -> StepPrompt:
        """The prompt of the step to generate at this point."""

    def feed(self, text: str) -> ModelToolCall | Malformed | None:
        """Take what a step with a schema generated; None: the model answers next."""

    def add(self, outcome: ToolOutcome) -> None:
        """Tell the model what came of the call that it made last."""

    def steer(self, answer: str, text: str) -> None:
        """Tell the model what the user added, after the answer where there was one."""


class WideSteps:
    """The model chooses at every step. `messages` is the turn's prompt, which ends with the user's request."""

    def __init__(self, messages: Sequence[ModelMessage], tools: Sequence[OfferedTool]) -> None:
        self._messages = _with_tools(messages, tools)
        self._schema: Final = step_schema(tools)
        self._tools: Final = tuple(tools)
        self._answers = not tools
        self._malformed = 0

    def next_step(self) -> StepPrompt:
        """See GuidedSteps."""
        if self._answers:
            return StepPrompt(messages=tuple(self._messages))
        return StepPrompt(messages=tuple(self._messages), schema=self._schema, max_tokens=_CALL_TOKENS)

    def feed(self, text: str) -> ModelToolCall | Malformed | None:
        """See GuidedSteps."""
        event = read_step(text)
        if isinstance(event, Malformed):
            self._malformed += 1
            self._answers = self._malformed >= _MOST_MALFORMED
        elif event is None:
            self._answer()
        return event

    def add(self, outcome: ToolOutcome) -> None:
        """See GuidedSteps."""
        self._messages += plain_step((outcome,))

    def steer(self, answer: str, text: str) -> None:
        """See GuidedSteps. It may use tools for what was added."""
        last = self._messages[-1]
        if not answer.strip() and last["role"] == "user":
            # Templates want the two to take turns.
            self._messages[-1] = {**last, "content": f"{last['content']}\n\n{text}"}
        else:
            self._messages += steered(answer, text)
        self._answers = not self._tools
        self._malformed = 0

    def _answer(self) -> None:
        self._answers = True
        self._messages.append({"role": "assistant", "content": f'{{"tool":"{ANSWER}"}}'})
        self._messages.append({"role": "user", "content": _GO_ON})


class NarrowSteps:
    """One tool or none, chosen by the request's words; a call that failed is tried once more."""

    def __init__(self, messages: Sequence[ModelMessage], tools: Sequence[OfferedTool]) -> None:
        self._messages: Final = list(messages)
        self._request = str(self._messages[-1]["content"])
        able = [
            _essential(narrowed(tool, self._request))
            for tool in (view(tool.name, tool.description, tool.parameters) for tool in tools)
            if can_serve(tool, self._request) and is_handed_on(tool, self._request)
        ]
        ranked = rank(self._request, (*able, _ANSWERING))
        self._tool = ranked[0][0] if ranked and ranked[0][0] is not _ANSWERING else None
        self._failures: list[ToolOutcome] = []
        self._results: list[ToolOutcome] = []
        self._malformed = 0

    def next_step(self) -> StepPrompt:
        """See GuidedSteps."""
        if self._tool is not None:
            schema = call_schema(self._tool, request=self._request)
            return StepPrompt(messages=self._prompt(self._tool), schema=schema, max_tokens=_SHORT_CALL_TOKENS)
        outcomes = self._results or self._failures
        if not outcomes:
            return StepPrompt(messages=tuple(self._messages))
        if self._results and outcomes[-1].name == DELEGATE:
            # Twice what it takes: a weak model without a penalty may go on for ever.
            most = len(outcomes[-1].content) // 2 + _SHORTEST_TOKENS
            return StepPrompt(messages=passed_on(outcomes[-1]), verbatim=True, max_tokens=most)
        content = f"{self._request}\n\n{_told(outcomes[-1])}"
        return StepPrompt(messages=(*self._messages[:-1], {**self._messages[-1], "content": content}))

    def feed(self, text: str) -> ModelToolCall | Malformed | None:
        """See GuidedSteps."""
        event = read_step(text)
        if isinstance(event, Malformed):
            self._malformed += 1
        if event is None or self._malformed >= _MOST_MALFORMED:
            self._tool = None
        return event

    def add(self, outcome: ToolOutcome) -> None:
        """See GuidedSteps."""
        (self._results if outcome.ok else self._failures).append(outcome)
        if outcome.ok or len(self._failures) > 1:
            self._tool = None

    def steer(self, answer: str, text: str) -> None:
        """See GuidedSteps. What was added is answered in words: a weak model is not led twice."""
        if answer.strip():
            self._messages.extend(steered(answer, text))
            self._request = text
            self._results.clear()
            self._failures.clear()
        else:
            self._request = f"{self._request}\n\n{text}"
            self._messages[-1] = {**self._messages[-1], "content": self._request}
        self._tool = None

    def _prompt(self, tool: ToolView) -> tuple[ModelMessage, ...]:
        made: list[ModelMessage] = [
            {"role": "system", "content": f"Write the call for the request.\n{signature(tool)}"}
        ]
        for example in tool.examples:
            made.append({"role": "user", "content": example.request})
            made.append({"role": "assistant", "content": written(tool.name, example.arguments)})
        made.append({"role": "user", "content": self._request})
        return (*made, *plain_step(self._failures))


def _told(outcome: ToolOutcome) -> str:
    # Of ten wordings the one with which SmolLM2-135M repeats a result instead of writing a program about it.
    return f"This is the result of {outcome.name}:\n{outcome.content.rstrip()}\n\nTell me the result in one sentence."


def _essential(tool: ToolView) -> ToolView:
    """The tool without the optional arguments that none of its examples has: a weak model would make them up."""
    properties = tool.parameters.get("properties", {})
    wanted = {*tool.parameters.get("required", ()), *(name for example in tool.examples for name in example.arguments)}
    if not wanted and not tool.examples:
        return tool
    kept = {name: schema for name, schema in properties.items() if name in wanted}
    return dataclasses.replace(tool, parameters={**tool.parameters, "properties": kept})


def read_step(text: str) -> ModelToolCall | Malformed | None:
    """The call that a step's text makes, or None for "answer"."""
    value = load(text)
    if isinstance(value, Malformed):
        return Malformed(text=text, reason=CUT_OFF)
    if not isinstance(value, dict) or not isinstance(value.get("tool"), str):
        return Malformed(text=text, reason=NO_JSON)
    if value["tool"] == ANSWER and "arguments" not in value:
        return None
    return call_event(value["tool"], value.get("arguments"), text)


def _with_tools(messages: Sequence[ModelMessage], tools: Sequence[OfferedTool]) -> list[ModelMessage]:
    """The messages with the tools at the end of the system text, which stays the same for the whole session."""
    if not tools:
        return list(messages)
    lines = [
        "You have tools:",
        *(f"- {signature(tool)}" for tool in tools),
        'First write {"tool": NAME, "arguments": {…}} to use one, and you get what it gives.',
        f'When you know enough, or need none, write {{"tool": "{ANSWER}"}} and then answer.',
    ]
    told = "\n".join(lines)
    first = messages[0] if messages else None
    if first is not None and first["role"] == "system":
        return [{**first, "content": f"{first['content']}\n\n{told}"}, *messages[1:]]
    return [{"role": "system", "content": told}, *messages]
