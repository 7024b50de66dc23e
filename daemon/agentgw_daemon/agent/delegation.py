"""`delegate_to_agent`: a part of a turn's work, done by another skill in a turn and a session of its own.

The child lives inside the call: it is cancelled with the turn that waits for it, and never waits for that turn. It has
its own skill's instructions and the user's limits of the parent (`--tools`, `--approve`, where, stored or not), never
more. Whoever watches the parent is told what the child does and is asked about its calls. What it took is added to the
parent's usage. Its failure is a failed call; but a call of the child that nobody agreed to ends the parent as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from agentgw.protocol.calls.turns import TurnResult, TurnStartParams
from agentgw.protocol.errors import ApprovalDenied, NotFound, RpcError
from agentgw.protocol.events import (
    TurnDelta,
    TurnEvent,
    TurnNotice,
    TurnProgress,
    TurnSources,
    TurnToolCall,
    TurnToolResult,
)
from agentgw.protocol.types import Options, Turn
from agentgw_daemon.agent.usage import sum_usage
from agentgw_daemon.skills.model import LoadedSkill
from agentgw_daemon.text.visible import visible_line
from agentgw_daemon.tool_calling.prompting.view import first_line
from agentgw_daemon.tools.builtins.delegate import DELEGATE
from agentgw_daemon.tools.tool import Arguments, CallPreview, ToolContext, ToolResult, ToolSpec, bounded

if TYPE_CHECKING:
    from agentgw_daemon.agent.tool_runner import Journal
    from agentgw_daemon.events.turn_state import TurnState
    from agentgw_daemon.services import Services
    from agentgw_daemon.skills.skill_set import SkillSet

# Two lines of a terminal.
_TRACE_CHARACTERS: Final = 160
# Enough to see that it goes on; each is an event of the parent's log.
_WORDS_A_REPORT: Final = 32
# A cancelled child stores its end, which its own turn bounds with fifteen seconds.
_ENDING_S: Final = 20.0


class Delegates(Protocol):
    """Runner of child turns, which work for others."""

    async def delegate(
        self, parent: TurnState, call_id: str, params: TurnStartParams, skill: LoadedSkill, *, tainted: bool
    ) -> TurnState:
        """Start a child turn."""

    async def stored_outcome(self, stored: Turn) -> TurnResult:
        """The result of a child turn that has ended. Raises its failure."""


class Delegation:
    """The tool of one turn; see `tools.tool.RunnableTool`. Its call is the last one of the turn's journal."""

    def __init__(
        self,
        services: Services,
        turns: Delegates,
        params: TurnStartParams,
        skills: Sequence[LoadedSkill],
        parent: TurnState,
        journal: Journal,
    ) -> None:
        self.spec: Final = _spec(skills)
        self._services: Final = services
        self._turns: Final = turns
        self._params: Final = params
        self._skills: Final = {skill.name: skill for skill in skills}
        self._parent: Final = parent
        self._journal: Final = journal

    async def describe_call(self, arguments: Arguments, context: ToolContext) -> CallPreview:
        """See RunnableTool."""
        del context
        await trio.lowlevel.checkpoint()
        return CallPreview(title=visible_line(f"Let {arguments['skill']} do: {arguments['task']}"))

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        """See RunnableTool. Raises ApprovalDenied when nobody agreed to a call of the child."""
        del context
        call_id = self._journal.calls[-1].call_id
        # Taken out only when it is waited for: whoever is in there is cancelled when the turn ends.
        known = self._parent.answers.get(call_id)
        if isinstance(known, str):
            return await self._stored(arguments["skill"], known)
        child = known or await self._begin(arguments, call_id)
        if isinstance(child, ToolResult):
            return child
        outcome = await self._wait(child, anew=known is None)
        if isinstance(outcome, ApprovalDenied):
            raise outcome
        return _result(child.skill, outcome, untrusted=child.tainted)

    async def _begin(self, arguments: Arguments, call_id: str) -> TurnState | ToolResult:
        skill, parent = self._skills[arguments["skill"]], self._parent
        limit = self._services.settings.agent.max_orchestration_depth
        if parent.depth >= limit:
            return ToolResult(
                ok=False,
                content=f"agents work for agents {parent.depth} deep already, and agent.max_orchestration_depth is"
                f" {limit}: do this part yourself",
            )
        if not arguments["task"].strip():
            return ToolResult(ok=False, content="task: say what is to be done, with all that is needed for it")
        try:
            return await self._turns.delegate(
                parent, call_id, child_params(self._params, skill, arguments["task"]), skill,
                tainted=self._journal.tainted,
            )  # fmt: skip
        except RpcError as error:
            return ToolResult(ok=False, content=f"{skill.name} could not begin: {error.message}")

    async def _stored(self, skill: str, turn_id: str) -> ToolResult:
        """The result of a child that ended just before the daemon did."""
        database = self._services.database
        turn, usage = await database.turns.get(turn_id), (await database.turns.detail(turn_id)).usage
        self._parent.delegated = sum_usage(self._parent.delegated, usage)
        outcome: TurnResult | RpcError
        try:
            outcome = await self._turns.stored_outcome(turn)
        except RpcError as error:
            outcome = error
        return _result(skill, outcome, untrusted=await database.calls.is_tainted(turn.session_id))

    async def _wait(self, child: TurnState, *, anew: bool) -> TurnResult | RpcError:
        """The end of the child. Cancelling cancels it, and returns when it has stored its end."""
        try:
            if anew:
                text = f"{child.skill} works on it; `agentgw attach {child.turn_id}` watches"
                await self._parent.log.append(TurnNotice(code="delegated", text=text))
            await self._relay(child, 1 if anew else child.log.last_seq + 1)
            return await child.wait_outcome()
        finally:
            child.cancel()
            with trio.move_on_after(_ENDING_S, shield=True):
                await child.wait_outcome()
            self._parent.delegated = sum_usage(self._parent.delegated, child.usage)

    async def _relay(self, child: TurnState, seq: int) -> None:
        """Tell whoever watches the parent what the child does from its event `seq` on, until it ends."""
        parent, words, told = self._parent, 0, 0
        while batch := await child.log.next_events(seq):
            seq += len(batch)
            words += sum(isinstance(event, TurnDelta) for event in batch)
            if words >= told + _WORDS_A_REPORT:
                told = words
                await parent.log.append(TurnProgress(phase="delegated", done=words))
            for event in batch:
                if isinstance(event, TurnSources):
                    await parent.cite(event.chunks)
                if (news := _news(child.skill, event)) is not None:
                    await parent.log.append(news)


def usable(skill_set: SkillSet, names: Sequence[str]) -> tuple[list[LoadedSkill], list[TurnNotice]]:
    """The skills of these names, and what to tell the user about those that are none."""
    skills: list[LoadedSkill] = []
    missing: list[TurnNotice] = []
    for name in dict.fromkeys(names):
        try:
            skills.append(skill_set.get(name))
        except NotFound as error:
            missing.append(TurnNotice(code="sub_agent_missing", text=f"{name} cannot be delegated to: {error.message}"))
    return skills, missing


def child_params(params: TurnStartParams, skill: LoadedSkill, task: str) -> TurnStartParams:
    """The child's turn: the sub-skill's own settings, and what the user said for the parent where it has none."""
    given = params.options or Options()
    options = dataclasses.replace(
        given, stop=None, temperature=given.temperature if skill.temperature is None else skill.temperature
    )
    steps = [one for one in (skill.max_iterations, params.max_iterations) if one is not None]
    return TurnStartParams(
        message=task, skill=skill.name, model=skill.model or params.model, options=options, tools=params.tools,
        approvals=params.approvals, cwd=params.cwd, ephemeral=params.ephemeral, detach=params.detach,
        max_iterations=min(steps, default=None),
    )  # fmt: skip


def _spec(skills: Sequence[LoadedSkill]) -> ToolSpec:
    lines = [f"- {skill.name}: {first_line(skill.description)}" for skill in skills]
    return dataclasses.replace(
        DELEGATE.spec, description="\n".join([DELEGATE.spec.description, *lines]),
        parameters=_parameters([skill.name for skill in skills]),
    )  # fmt: skip


def _parameters(names: Sequence[str]) -> Mapping[str, Any]:
    general = DELEGATE.spec.parameters
    properties = general["properties"]
    return {**general, "properties": {**properties, "skill": {**properties["skill"], "enum": list(names)}}}


def _result(skill: str, outcome: TurnResult | RpcError, *, untrusted: bool) -> ToolResult:
    """The result that the parent's model is told."""
    if isinstance(outcome, RpcError):
        return ToolResult(ok=False, content=bounded(f"{skill} failed: {outcome.message}"), untrusted=untrusted)
    text, reason = outcome.text.strip(), outcome.finish_reason
    problem = {"cancelled": "was cancelled", "iteration_limit": "used up its steps"}.get(reason or "")
    if problem is not None:
        said = f". It had said:\n{text}" if text else ""
        return ToolResult(ok=False, content=bounded(f"{skill} {problem}{said}"), untrusted=untrusted)
    cut = "\n[cut off: its answer was longer than allowed]" if reason == "length" else ""
    return ToolResult(ok=True, content=bounded(text + cut), untrusted=untrusted)


def _news(skill: str, event: TurnEvent) -> TurnEvent | None:
    """An event of the child as the parent's watchers see it."""
    match event:
        case TurnToolCall(tool=tool, arguments=arguments):
            shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
            text = f"{tool}({shown})"
        case TurnToolResult(ok=False, content=content):
            text = f"failed: {content}"
        case TurnNotice(text=text):
            pass
        case TurnProgress():
            return event
        case _:
            return None
    shortened = text if len(text) <= _TRACE_CHARACTERS else f"{text[:_TRACE_CHARACTERS]}…"
    return TurnNotice(code="delegated", text=f"{skill}: {shortened}")
