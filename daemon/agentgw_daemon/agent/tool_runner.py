"""The tools of one turn: which there are, and what happens between a call and its result.

A call is checked against the tool's schema, noticed when it repeats others, agreed to where that is needed, stored
before it starts, carried out, stored again. Whatever goes wrong on the way is told to the model as the call's result;
only when nobody agreed who could have been asked does the turn end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import trio

from agentgw.protocol.calls.turns import OfferedTool
from agentgw.protocol.errors import ApprovalDenied
from agentgw.protocol.events import TurnToolCall, TurnToolResult
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import ToolCall
from agentgw_daemon.agent.loop import Emit
from agentgw_daemon.observability.failpoint import failpoint
from agentgw_daemon.text.valid import read_json, valid_text
from agentgw_daemon.tool_calling.answers.events import ModelToolCall
from agentgw_daemon.tool_calling.prompting.messages import ToolOutcome
from agentgw_daemon.tool_calling.repeats import RepeatDetector
from agentgw_daemon.tools.arguments import check_arguments
from agentgw_daemon.tools.files.places import needs_approval
from agentgw_daemon.tools.tool import CallFailed, RunnableTool, ToolContext, ToolResult

DENIED: Final = "The user did not allow this call. Do not make it again; answer without it, or ask the user."
# Some 2,000 tokens, a quarter of a small model's context: the rest is for the question and for more results.
MOST_RESULT_CHARACTERS: Final = 8_000
# A weak model may call on and on in one step.
MOST_CALLS: Final = 16


@record
class CheckedCall:
    """A call that can be made: its arguments fit the tool."""

    call_id: str
    tool: RunnableTool
    arguments: Mapping[str, Any]
    asks: bool


@record
class Agreed:
    """A call that may be made; `things` as of `ToolContext.agreed`."""

    things: tuple[str, ...] | None = None


class Consent(Protocol):
    """Decision on calls that need consent."""

    async def agree(self, wanted: CheckedCall, emit: Emit) -> Agreed | None:
        """The agreed call, or None if it may not be made. Raises CallFailed when it cannot succeed, ApprovalDenied when
        nobody answered.
        """


class Journal(Protocol):
    """Store of calls; `tainted` once one of them brought untrusted text into the session."""

    tainted: bool

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls that were made, in order."""

    def ended(self, call_id: str) -> ToolCall | None:
        """The call, if it was made and its result is known: then it must not be made again."""

    async def begin(self, call_id: str, tool: str, arguments: Mapping[str, Any]) -> None:
        """Notes that a call is about to be made."""

    async def end(self, call_id: str, result: ToolResult) -> None:
        """Stores the result of a call."""


class ToolRunner:
    """See `loop.Tools`. `suggested_tools`: names of those that a model which cannot choose may be led to."""

    def __init__(
        self,
        tools: Mapping[str, RunnableTool],
        context: ToolContext,
        *,
        consent: Consent,
        journal: Journal,
        turn_id: str,
        suggested_tools: Collection[str] = (),
        hidden_tools: Collection[str] = (),
        redact: Callable[[str], str] = str,
    ) -> None:
        # Results pass through it before anybody sees or stores them: keys become stars.
        self._redact: Final = redact
        self.suggested_tools: Final = suggested_tools
        # There, and not shown to the model: nobody is to be asked for a yes to them.
        self._hidden_tools: Final = hidden_tools
        self._tools: Final = tools
        self._context: Final = context
        self._consent: Final = consent
        self._journal: Final = journal
        self._turn_id: Final = turn_id
        self._repeats: Final = RepeatDetector()
        self._made = 0

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls that were made."""
        return self._journal.calls

    @property
    def offered(self) -> tuple[OfferedTool, ...]:
        """See Tools."""
        return tuple(
            OfferedTool(name=spec.name, description=spec.description, parameters=dict(spec.parameters))
            for spec in (tool.spec for tool in self._tools.values())
        )

    def recall(self, calls: Sequence[ModelToolCall]) -> None:
        """See Tools."""
        for call in calls:
            self._next_id()
            with contextlib.suppress(CallFailed):
                self._repeats.note(call.name, self._arguments(call)[1])

    @property
    def tainted(self) -> bool:
        """Tells whether untrusted text has entered the turn's session."""
        return self._journal.tainted

    async def carry_out(self, calls: Sequence[ModelToolCall], emit: Emit) -> list[ToolOutcome]:
        """See Tools."""
        done: dict[int, ToolOutcome] = {}
        together: list[tuple[int, ModelToolCall, CheckedCall]] = []
        for at, call in enumerate(calls):
            call_id = self._next_id()
            if (ended := self._journal.ended(call_id)) is not None:
                done[at] = await self._repeat(call, ended, emit)
                continue
            if call.name in self._hidden_tools:
                await emit(TurnToolCall(call_id=call_id, tool=call.name, arguments=_shown(call)))
                raise denied(call.name, "nobody is to be asked about it")
            try:
                wanted = self._read(call, at, call_id)
            except CallFailed as failed:
                done[at] = await self._refuse(call, call_id, failed.text, emit)
                continue
            spec = wanted.tool.spec
            if wanted.asks or spec.ordered or spec.effect not in ("none", "read"):
                # A call that changes something comes after what was called before it.
                await self._all(together, done, emit)
                together = []
                done[at] = await self._make(call, wanted, emit)
            else:
                together.append((at, call, wanted))
        await self._all(together, done, emit)
        return [done[at] for at in sorted(done)]

    def _read(self, call: ModelToolCall, at: int, call_id: str) -> CheckedCall:
        """The call as one that can be made. Raises CallFailed with what to tell the model."""
        if at >= MOST_CALLS:
            raise CallFailed(f"more than {MOST_CALLS} calls in one step: make fewer")
        tool, arguments = self._arguments(call)
        if (hint := self._repeats.note(call.name, arguments)) is not None:
            raise CallFailed(hint)
        # A call that can carry data out is asked about once there is untrusted text that may want it.
        asks = needs_approval(tool.spec, self._context, arguments) or (self._journal.tainted and tool.spec.outbound)
        return CheckedCall(call_id=call_id, tool=tool, arguments=arguments, asks=asks)

    def _arguments(self, call: ModelToolCall) -> tuple[RunnableTool, dict[str, Any]]:
        """The tool and what it is called with. Raises CallFailed."""
        tool = self._tools.get(call.name)
        if tool is None:
            raise CallFailed(f"there is no tool {call.name[:80]}; there are {', '.join(self._tools)}")
        try:
            parsed = read_json(call.arguments)
        except ValueError as error:
            raise CallFailed(f"{call.name}: the arguments are no JSON: {error}") from None
        return tool, check_arguments(tool.spec, parsed)

    async def _repeat(self, call: ModelToolCall, ended: ToolCall, emit: Emit) -> ToolOutcome:
        """Tell what came of a call that an earlier daemon made."""
        self._repeats.note(call.name, ended.arguments)
        await emit(TurnToolCall(call_id=ended.call_id, tool=call.name, arguments=dict(ended.arguments)))
        result = ToolResult(ok=bool(ended.ok), content=ended.content or "")
        return await self._tell(call, ended.call_id, ended.arguments, result, emit)

    async def _all(
        self, together: Sequence[tuple[int, ModelToolCall, CheckedCall]], done: dict[int, ToolOutcome], emit: Emit
    ) -> None:
        """Carry calls out side by side; tell and store them in their order."""

        async def one(at: int, call: ModelToolCall, wanted: CheckedCall) -> None:
            result = await self._run(wanted, Agreed())
            done[at] = await self._tell(call, wanted.call_id, wanted.arguments, result, emit)

        for _, call, wanted in together:
            await emit(TurnToolCall(call_id=wanted.call_id, tool=call.name, arguments=dict(wanted.arguments)))
            await self._journal.begin(wanted.call_id, call.name, wanted.arguments)
        async with trio.open_nursery() as nursery:
            for item in together:
                nursery.start_soon(one, *item)

    async def _make(self, call: ModelToolCall, wanted: CheckedCall, emit: Emit) -> ToolOutcome:
        await emit(TurnToolCall(call_id=wanted.call_id, tool=call.name, arguments=dict(wanted.arguments)))
        try:
            agreed = await self._consent.agree(wanted, emit) if wanted.asks else Agreed()
        except CallFailed as failed:
            agreed = Agreed()
            result = ToolResult(ok=False, content=failed.text, untrusted=failed.untrusted)
        else:
            if agreed is not None:
                await self._journal.begin(wanted.call_id, call.name, wanted.arguments)
                failpoint("call-begun")
                result = await self._run(wanted, agreed)
            else:
                result = ToolResult(ok=False, content=DENIED)
        return await self._tell(call, wanted.call_id, wanted.arguments, result, emit, denied=agreed is None)

    async def _run(self, wanted: CheckedCall, agreed: Agreed) -> ToolResult:
        try:
            said = await wanted.tool.call(wanted.arguments, replace(self._context, agreed=agreed.things))
            result = self._clean(said)
        except ApprovalDenied as error:
            await self._journal.end(wanted.call_id, ToolResult(ok=False, content=valid_text(error.message)))
            raise
        failpoint("call-done")
        await self._journal.end(wanted.call_id, result)
        failpoint("call-ended")
        return result

    async def _refuse(self, call: ModelToolCall, call_id: str, reason: str, emit: Emit) -> ToolOutcome:
        """A call that cannot be made."""
        arguments = _shown(call)
        await emit(TurnToolCall(call_id=call_id, tool=call.name, arguments=arguments))
        return await self._tell(call, call_id, arguments, ToolResult(ok=False, content=reason), emit)

    async def _tell(
        self, call: ModelToolCall, call_id: str, arguments: Mapping[str, Any], result: ToolResult, emit: Emit, *,
        denied: bool = False,
    ) -> ToolOutcome:  # fmt: skip
        result = self._clean(result)
        await emit(TurnToolResult(call_id=call_id, ok=result.ok, content=result.content, denied=denied or None))
        content = result.content if result.ok else f"error: {result.content}"
        if len(content) > MOST_RESULT_CHARACTERS:
            content = f"{content[:MOST_RESULT_CHARACTERS]}\n[the rest is left out: ask for less]"
        return ToolOutcome(name=call.name, arguments=arguments, content=content, ok=result.ok)

    def _clean(self, result: ToolResult) -> ToolResult:
        """The result made valid: a tool may give anybody's bytes: a file's name, a program's output, a key."""
        return replace(result, content=self._redact(valid_text(result.content)))

    def _next_id(self) -> str:
        self._made += 1
        return f"{self._turn_id}-{self._made}"


def _shown(call: ModelToolCall) -> dict[str, Any]:
    """The arguments of a call that is not made, as far as they are any."""
    try:
        parsed = read_json(call.arguments)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def denied(tool: str, why: str, *, approval_id: str = "") -> ApprovalDenied:
    """The end of a turn whose call nobody agreed to."""
    return ApprovalDenied(
        f"{tool} was not allowed: {why}",
        hint=f"allow it with --approve {tool}, or have it wait for `agentgw approvals` with --approve ask",
        tool=tool, approval_id=approval_id,
    )  # fmt: skip
