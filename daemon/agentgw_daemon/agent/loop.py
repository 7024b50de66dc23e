"""The loop: prompt, stream, tool calls, results, and again, until there is an answer or the steps run out.

What the model writes is never taken for more than it is: a call that cannot be read goes back to it as an error, a
repeated one as a hint, and when the steps run out nothing is put into its mouth.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Final, Protocol

import trio

from agentgw.protocol.calls.turns import OfferedTool, StepCall, TurnStep
from agentgw.protocol.events import TurnDelta, TurnEvent, TurnProgress
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Options, Timings
from agentgw_daemon.agent.tool_dialect import Step, StepOutput, ToolDialect, begin, recalled_outcome, repeat
from agentgw_daemon.agent.usage import sum_timings, sum_usage
from agentgw_daemon.inference.engine import (
    Engine,
    Finished,
    GenerationRequest,
    Loading,
    Prefill,
    Queued,
    TextDelta,
    ToolCallingMode,
)
from agentgw_daemon.inference.hearing import hear, nothing_said
from agentgw_daemon.tool_calling.answers.events import AnswerText, Malformed, ModelToolCall, ParseEvent, Reasoning
from agentgw_daemon.tool_calling.prompting.messages import ToolOutcome

# A loaded model says at once how it calls tools; one that is being loaded is news.
_AT_ONCE_S: Final = 0.05
# A call is written, not told: what a schema leaves open is the likeliest.
_CALL_OPTIONS: Final = Options(temperature=0.0, repeat_penalty=1.0)
_PARAGRAPH: Final = "\n\n"

Emit = Callable[..., Awaitable[None]]


class Tools(Protocol):
    """Tools that the model may call in this turn."""

    @property
    def offered(self) -> tuple[OfferedTool, ...]:
        """The tools as the model is shown them, and as they are recorded."""

    @property
    def suggested_tools(self) -> Collection[str]:
        """Names of those that a model which cannot choose may be led to by the words of a request."""

    def recall(self, calls: Sequence[ModelToolCall]) -> None:
        """Take these calls for made: they are of a step whose results are known. Steps come in their order."""

    async def carry_out(self, calls: Sequence[ModelToolCall], emit: Emit) -> list[ToolOutcome]:
        """Carry calls out, in order, or side by side if they only read. Raises ApprovalDenied: nobody may be asked."""


class Recorder(Protocol):
    """Keeper of the model's steps."""

    async def said(self, text: str, calls: Sequence[ModelToolCall | Malformed], finished: Finished | None) -> None:
        """Keeps the output of a step whose calls are not made yet."""

    async def told(self, results: Sequence[ToolOutcome]) -> None:
        """Keeps the results of the last step's calls, those aside that were none."""

    async def steered(self, texts: Sequence[str]) -> None:
        """Keeps the words that the user added after the last step."""


class Words(Protocol):
    """Source of what the user adds while the run goes on."""

    def after_step(self, number: int, *, last: bool) -> tuple[str, ...]:
        """The words that have come by the end of this step, from 1. Where it is the last none are taken after these."""


@record
class AgentTask:
    """Task of an agent: the model, what each step asks it for, and at most how many steps there are.

    The request has no messages until its prompt is put together.
    """

    engine: Engine
    request: GenerationRequest
    max_iterations: int
    # The steps there were when an earlier daemon ended. Of the last one, calls may be still to make.
    past: tuple[TurnStep, ...] = ()


@record
class AgentRun:
    """Input of a run. Each step sends the task's request with messages of its own, which begin with that one's."""

    task: AgentTask
    recorder: Recorder
    tools: Tools | None = None
    # The form of the model's calls, where that is known.
    tool_calling: ToolCallingMode | None = None
    steering: Words | None = None


class TurnOutput:
    """Output of the turn up to here, and what it took."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.texts = list(texts)
        self.finished: Finished | None = None
        self.last_step: Finished | None = None
        # Nothing is to come any more.
        self.complete = False

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.texts)

    def end_step(self, finished: Finished) -> None:
        """Count one more step: usage and times add up, the rest is the last one's."""
        before, self.last_step = self.finished, finished
        if before is None:
            self.finished = finished
            return
        usage, timings = sum_usage(before.usage, finished.usage), sum_timings(before.timings, finished.timings)
        rate = usage.completion_tokens / timings.decode_ms * 1000 if timings.decode_ms > 0 else 0.0
        timings = dataclasses.replace(timings, decode_tokens_per_s=rate)
        self.finished = dataclasses.replace(finished, usage=usage, timings=timings)

    def run_out(self) -> None:
        """End the output, as the steps are used up."""
        self.complete = True
        if self.finished is not None:
            self.finished = dataclasses.replace(self.finished, finish_reason="iteration_limit")


async def run_agent(agent: AgentRun, answer: TurnOutput, emit: Emit) -> None:
    """Run the agent to its end; its text and calls go to `emit` as events and into `answer`. Raises RpcError."""
    # Before the model is loaded: a question may wait for its answer as long as it has time.
    past = [await _recall(agent, step, answer, emit) for step in agent.task.past]
    offered = agent.tools.offered if agent.tools else ()
    tool_calling = agent.tool_calling
    if tool_calling is None and offered:
        tool_calling = await tool_calling_of(agent.task.engine, emit)
    dialect = begin(
        agent.task.request.messages,
        offered,
        tool_calling,
        agent.task.request.schema,
        suggested_tools=agent.tools.suggested_tools if agent.tools else (),
    )
    if past:
        repeat(dialect, past, [step.steered for step in agent.task.past])
    # Whoever says more wants an answer to it, whatever is left of the steps.
    number, most = len(past), agent.task.max_iterations + sum(1 for step in agent.task.past if step.steered)
    if past and await _steer(agent, dialect, number, "", last=False):
        most += 1
    while number < most:
        number += 1
        step = dialect.next_step()
        output = await _generate(agent, step, answer, emit)
        calls = dialect.take(output)
        # Calls where no tool was offered are none, so that nothing may be left of a step.
        if not (calls or step.hidden or output.text.strip()):
            raise nothing_said(answer.last_step, called=bool(output.calls))
        await agent.recorder.said(output.text, calls or (), answer.last_step)
        if calls is None:
            if not await _steer(agent, dialect, number, output.text, last=True):
                answer.complete = True
                return
            # The next step is an answer of its own.
            answer.texts.append(_PARAGRAPH)
            await emit(TurnDelta(text=_PARAGRAPH))
            most += 1
            continue
        results = []
        if agent.tools is not None:
            results = await agent.tools.carry_out([call for call in calls if isinstance(call, ModelToolCall)], emit)
            await agent.recorder.told(results)
        if calls:
            dialect.add(output, results)
            if await _steer(agent, dialect, number, "", last=number == most):
                most += 1
    answer.run_out()


async def _steer(agent: AgentRun, dialect: ToolDialect, number: int, said: str, *, last: bool) -> bool:
    """Show the model what the user added by the end of a step; tells whether that was anything.

    `said`: the answer, if the step was one.
    """
    texts = agent.steering.after_step(number, last=last) if agent.steering is not None else ()
    if not texts:
        return False
    # On record before the model says anything to it.
    await agent.recorder.steered(texts)
    dialect.steer(said, "\n\n".join(texts))
    return True


async def _recall(
    agent: AgentRun, step: TurnStep, answer: TurnOutput, emit: Emit
) -> tuple[StepOutput, list[ToolOutcome]]:
    """Take a step of the past as if it had just been said and its calls made; calls without a result are made."""
    answer.end_step(
        Finished(
            finish_reason=step.finish_reason or "stop", usage=step.usage, timings=Timings(),
            prompt_sha256=step.prompt_sha256,
        )
    )  # fmt: skip
    written = [_as_written(call) for call in step.calls]
    calls = [call for call in written if isinstance(call, ModelToolCall)]
    told = [call for call in step.calls if call.tool is not None]
    if agent.tools is not None and any(call.content is None for call in told):
        results = await agent.tools.carry_out(calls, emit)
        await agent.recorder.told(results)
    else:
        results = [recalled_outcome(call, one.ok, one.content) for call, one in zip(calls, told, strict=True)]
        if agent.tools is not None:
            agent.tools.recall(calls)
    return StepOutput(text=step.text, calls=tuple(written)), results


def _as_written(call: StepCall) -> ModelToolCall | Malformed:
    if call.tool is None:
        return Malformed(text=call.arguments, reason=call.content or "")
    return ModelToolCall(name=call.tool, arguments=call.arguments)


async def tool_calling_of(engine: Engine, emit: Emit) -> ToolCallingMode | None:
    """The way in which the engine's model calls tools; loads it, and says so."""
    with trio.move_on_after(_AT_ONCE_S):
        return await engine.tool_calling()
    await emit(TurnProgress(phase="loading"))
    return await engine.tool_calling()


async def _generate(agent: AgentRun, step: Step, answer: TurnOutput, emit: Emit) -> StepOutput:
    """Generate one step of the model. Its text is passed on as it comes."""
    request = dataclasses.replace(
        agent.task.request, messages=step.messages, tools=step.tools, schema=step.schema, special=step.special,
        options=_options(agent.task.request.options, step),
    )  # fmt: skip
    parser, texts, calls = step.parser(), list[str](), list[ModelToolCall | Malformed]()

    async def show(events: Sequence[ParseEvent]) -> None:
        for event in events:
            match event:
                case AnswerText(text=text):
                    texts.append(text)
                    answer.texts.append(text)
                    await emit(TurnDelta(text=text))
                case Reasoning(text=text):
                    await emit(TurnDelta(text=text, channel="reasoning"))
                case _:
                    calls.append(event)

    async with hear(agent.task.engine, request) as events:
        async for event in events:
            match event:
                case Finished():
                    answer.end_step(event)
                case ModelToolCall() | Malformed():
                    calls.append(event)
                case TextDelta() if step.hidden:
                    texts.extend(event.texts)
                case TextDelta(channel="answer") if parser is not None:
                    await show(parser.feed("".join(event.texts)))
                case TextDelta():
                    if event.channel == "answer":
                        texts.extend(event.texts)
                        answer.texts.extend(event.texts)
                    await emit(*translated(event))
                case _:
                    await emit(*translated(event))
    if parser is not None:
        await show(parser.close())
    return StepOutput(text="".join(texts), calls=tuple(calls))


def _options(options: Options, step: Step) -> Options:
    if step.verbatim:
        most = [one for one in (options.max_tokens, step.max_tokens) if one is not None]
        return dataclasses.replace(options, temperature=0.0, repeat_penalty=1.0, max_tokens=min(most, default=None))
    if not step.hidden:
        return options
    return dataclasses.replace(_CALL_OPTIONS, seed=options.seed, max_tokens=step.max_tokens)


def translated(event: Queued | Loading | Prefill | TextDelta) -> list[TurnEvent]:
    """The events that watchers are told of it."""
    match event:
        case TextDelta():
            return [TurnDelta(text=text, channel=event.channel) for text in event.texts]
        case Queued():
            return [TurnProgress(phase="queued", position=event.position)]
        case Loading():
            return [TurnProgress(phase="loading", done=event.done, total=event.total)]
        case Prefill():
            return [TurnProgress(phase="prefill", done=event.done, total=event.total)]
