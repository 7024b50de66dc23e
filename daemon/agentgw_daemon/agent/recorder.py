"""Recorder of what the model writes, step by step, so that the turn can be run again or gone on with.

A step with calls is stored before they are made and again when they have ended; the answer goes with the turn's end,
so that a turn without tools costs no commit more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from agentgw.protocol.calls.turns import StepCall, TurnStep
from agentgw_daemon.inference.engine import Finished
from agentgw_daemon.storage.sessions.steps import ShownPrompt, StepRows
from agentgw_daemon.tool_calling.answers.events import Malformed, ModelToolCall
from agentgw_daemon.tool_calling.prompting.messages import ToolOutcome


class StepRecorder:
    """See `loop.Recorder`. `write` None keeps the steps in memory only; those of the `past` are stored already."""

    def __init__(
        self,
        write: Callable[[StepRows], Awaitable[None]] | None,
        shown: ShownPrompt | None,
        past: Sequence[TurnStep] = (),
    ) -> None:
        self._write: Final = write
        self._shown = shown
        self._stored = len(past)
        self._steps: Final = list(past)

    @property
    def steps(self) -> tuple[TurnStep, ...]:
        """The steps that have ended, in order."""
        return tuple(self._steps)

    async def said(self, text: str, calls: Sequence[ModelToolCall | Malformed], finished: Finished | None) -> None:
        """See Recorder."""
        step = TurnStep(text=text, calls=tuple(map(_written, calls)))
        if finished is not None:
            step = dataclasses.replace(
                step, finish_reason=finished.finish_reason, usage=finished.usage, prompt_sha256=finished.prompt_sha256
            )
        self._steps.append(step)
        if calls:
            await self._store()

    async def told(self, results: Sequence[ToolOutcome]) -> None:
        """See Recorder."""
        step = self._steps[-1]
        left = list(results)
        calls = [call if call.tool is None else _answered(call, left.pop(0)) for call in step.calls]
        if calls:
            self._steps[-1] = dataclasses.replace(step, calls=tuple(calls))
            self._stored = len(self._steps) - 1
            await self._store()

    async def steered(self, texts: Sequence[str]) -> None:
        """See Recorder."""
        step = self._steps[-1]
        self._steps[-1] = dataclasses.replace(step, steered=(*step.steered, *texts))
        self._stored = min(self._stored, len(self._steps) - 1)
        await self._store()

    def rest(self) -> StepRows:
        """The steps that are not stored yet."""
        return StepRows(first=self._stored + 1, steps=tuple(self._steps[self._stored :]), shown=self._shown)

    async def _store(self) -> None:
        if self._write is not None:
            await self._write(self.rest())
        self._stored, self._shown = len(self._steps), None


def _written(call: ModelToolCall | Malformed) -> StepCall:
    if isinstance(call, Malformed):
        return StepCall(tool=None, arguments=call.text, ok=False, content=call.reason)
    return StepCall(tool=call.name, arguments=call.arguments)


def _answered(call: StepCall, done: ToolOutcome) -> StepCall:
    return dataclasses.replace(call, ok=done.ok, content=done.content)
