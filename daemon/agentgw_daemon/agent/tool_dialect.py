"""Dialogue with the model, step by step, in whichever way it calls tools. Does no I/O.

Three ways: a model whose template or endpoint knows tools, one that is led by schemas (`tool_calling.steps`), one
without tools. Each gives the next step, and takes what came of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Protocol

from agentgw.protocol.calls.turns import OfferedTool
from agentgw.protocol.errors import NotFound
from agentgw.protocol.records.schema import record
from agentgw_daemon.inference.engine import PromptMessage, ToolCallingMode, as_mapping, text_of
from agentgw_daemon.text.valid import read_json
from agentgw_daemon.tool_calling.answers.events import Malformed, ModelToolCall
from agentgw_daemon.tool_calling.answers.stream import StreamParser
from agentgw_daemon.tool_calling.formats import Format
from agentgw_daemon.tool_calling.prompting.messages import ToolOutcome, native_error, native_step, steered
from agentgw_daemon.tool_calling.prompting.view import declaration
from agentgw_daemon.tool_calling.steps import GuidedSteps, NarrowSteps, WideSteps

# Models that cannot choose are led by the words of a request. What is longer, or has a file or piped text behind it,
# is material to work on, and its words would mislead.
NARROW_REQUEST_CHARACTERS: Final = 300


@record
class Step:
    """The next generation. A `hidden` one writes a call and no word of the answer."""

    messages: tuple[PromptMessage, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    schema: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    special: bool = False
    hidden: bool = False
    # It says again what it was told: what is likeliest, however often it was there.
    verbatim: bool = False
    format: Format | None = None

    def parser(self) -> StreamParser | None:
        """The parser of its text; nothing where text is text."""
        return None if self.format is None else self.format.parser()


@record
class StepOutput:
    """Output of a step: the text, without calls, and the calls."""

    text: str
    calls: tuple[ModelToolCall | Malformed, ...] = ()


class ToolDialect(Protocol):
    """One turn's conversation with the model."""

    def next_step(self) -> Step:
        """The step to generate next."""

    def take(self, output: StepOutput) -> tuple[ModelToolCall | Malformed, ...] | None:
        """The calls of a step that was generated; None when it was the answer."""

    def add(self, output: StepOutput, results: Sequence[ToolOutcome]) -> None:
        """Tell the model what came of its calls; those that were none are in `output`."""

    def steer(self, answer: str, text: str) -> None:
        """Tell the model what the user added, after the answer where there was one."""


class PlainDialect:
    """One step, and that is the answer, unless the user adds to the message."""

    def __init__(self, messages: Sequence[PromptMessage], schema: Mapping[str, Any] | None) -> None:
        self._messages = tuple(messages)
        self._schema = schema

    def next_step(self) -> Step:
        """See ToolDialect."""
        return Step(messages=self._messages, schema=self._schema)

    def take(self, output: StepOutput) -> None:
        """See ToolDialect."""

    def add(self, output: StepOutput, results: Sequence[ToolOutcome]) -> None:
        """See ToolDialect: there are no calls."""
        raise AssertionError("a model without tools made a call")

    def steer(self, answer: str, text: str) -> None:
        """See ToolDialect."""
        self._messages = (*self._messages, *steered(answer, text))


class NativeDialect:
    """A model that is shown tools by its template, or by its endpoint when there is no `form`."""

    def __init__(self, messages: Sequence[PromptMessage], tools: Sequence[OfferedTool], form: Format | None) -> None:
        self._messages = list(messages)
        self._tools = tuple(map(declaration, tools))
        self._format = form
        self._calls = 0

    def next_step(self) -> Step:
        """See ToolDialect."""
        return Step(
            messages=tuple(self._messages), tools=self._tools, special=self._format is not None, format=self._format
        )

    def take(self, output: StepOutput) -> tuple[ModelToolCall | Malformed, ...] | None:
        """See ToolDialect."""
        return output.calls or None

    def add(self, output: StepOutput, results: Sequence[ToolOutcome]) -> None:
        """See ToolDialect."""
        if results:
            self._messages += native_step(results, text=output.text, first=self._calls)
            self._calls += len(results)
        for call in output.calls:
            if isinstance(call, Malformed):
                self._messages += native_error(call.text, call.reason)

    def steer(self, answer: str, text: str) -> None:
        """See ToolDialect."""
        self._messages += steered(answer, text)


class SteppedDialect:
    """A model that knows no tools and is led through schemas."""

    def __init__(self, steps: GuidedSteps) -> None:
        self._steps = steps
        self._hidden = False

    def next_step(self) -> Step:
        """See ToolDialect."""
        ask = self._steps.next_step()
        self._hidden = ask.schema is not None
        return Step(
            messages=ask.messages,
            schema=ask.schema,
            max_tokens=ask.max_tokens,
            hidden=self._hidden,
            verbatim=ask.verbatim,
        )

    def take(self, output: StepOutput) -> tuple[ModelToolCall | Malformed, ...] | None:
        """See ToolDialect. Empty: it said that it will answer now."""
        if not self._hidden:
            return None
        event = self._steps.feed(output.text)
        return () if event is None else (event,)

    def add(self, output: StepOutput, results: Sequence[ToolOutcome]) -> None:
        """See ToolDialect."""
        del output
        for done in results:
            self._steps.add(done)

    def steer(self, answer: str, text: str) -> None:
        """See ToolDialect."""
        self._steps.steer(answer, text)


def recalled_outcome(call: ModelToolCall, ok: bool | None, content: str | None) -> ToolOutcome:
    """The outcome of a call, as it was told the model before."""
    try:
        arguments = read_json(call.arguments)
    except ValueError:
        arguments = None
    return ToolOutcome(
        name=call.name, arguments=arguments if isinstance(arguments, dict) else {}, content=content or "", ok=bool(ok)
    )  # fmt: skip


def repeat(
    dialect: ToolDialect,
    past: Sequence[tuple[StepOutput, Sequence[ToolOutcome]]],
    added: Sequence[Sequence[str]] = (),
) -> None:
    """Bring a new dialogue to where another one was: the same was said and told. Raises NotFound when it cannot be.

    That is so when the turn's tools or its model have changed since. `added`: what the user said after each step.
    """
    for index, (output, results) in enumerate(past):
        dialect.next_step()
        calls = dialect.take(output)
        if calls is None and output.calls:
            raise NotFound(
                "what the turn's model called tools with is no longer there", hint="ask again",
                kind="tool", id=", ".join(sorted({done.name for done in results})),
            )  # fmt: skip
        if output.calls:
            dialect.add(output, results)
        if index < len(added) and added[index]:
            dialect.steer(output.text if calls is None else "", "\n\n".join(added[index]))


def begin(
    messages: Sequence[PromptMessage],
    tools: Sequence[OfferedTool],
    tool_calling: ToolCallingMode | None,
    schema: Mapping[str, Any] | None = None,
    *,
    suggested_tools: Collection[str] = (),
) -> ToolDialect:
    """The way that fits the model. An answer that has to meet a schema is given without tools.

    `suggested_tools`: names of the tools to which a model that cannot choose may be led by a request, those that were
    named for the turn. Among all of them the words of a request would mislead too often.
    """
    if not tools or tool_calling is None or schema is not None:
        return PlainDialect(messages, schema)
    if tool_calling.format is None or tool_calling.format.native:
        return NativeDialect(messages, tools, tool_calling.format)
    plain = [as_mapping(message) for message in messages]
    if not tool_calling.narrow:
        return SteppedDialect(WideSteps(plain, tools))
    request = text_of(messages[-1]).strip()
    named = [tool for tool in tools if tool.name in suggested_tools]
    if not named or "\n" in request or len(request) > NARROW_REQUEST_CHARACTERS:
        return PlainDialect(messages, schema)
    return SteppedDialect(NarrowSteps(plain, named))
