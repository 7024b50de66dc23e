"""Turns that an earlier daemon left in the middle of their tool calls: what it takes to go on with them.

Nothing is done twice. What the model said and what came of its calls is on record, so the turn's loop is fed with that
until it is where it was; only then is anybody asked, or anything done. A call that was cut off while it was carried out
leaves no such turn: nobody knows whether it had its effect (`storage.sessions.unfinished`).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from agentgw.protocol.calls.turns import PromptHistory, TurnStep
from agentgw.protocol.errors import NotFound
from agentgw.protocol.events import EVENTS, TurnEvent, TurnSteered
from agentgw.protocol.records.schema import bind
from agentgw.protocol.types import SessionId, ToolCall, TurnId
from agentgw_daemon.agent import toolkit
from agentgw_daemon.agent.loop import AgentTask
from agentgw_daemon.events.steering import Steering
from agentgw_daemon.events.turn_log import TurnLog
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.prompts.assembly import generation_request
from agentgw_daemon.prompts.prompt import EarlierTurn, history_of
from agentgw_daemon.storage.sessions.log import unpack
from agentgw_daemon.system.ids import seconds_of
from agentgw_daemon.turns.plan import Plan
from agentgw_daemon.turns.recorder import TurnRecorder, deduplicated_emit

if TYPE_CHECKING:
    from agentgw_daemon.agent.delegation import Delegates
    from agentgw_daemon.agent.tool_runner import ToolRunner
    from agentgw_daemon.services import Services
    from agentgw_daemon.skills.model import LoadedSkill
    from agentgw_daemon.storage.database import Database
    from agentgw_daemon.storage.sessions.unfinished import LeftTurn

_EVENTS: Final[dict[str, Any]] = {event.method: event for event in EVENTS}  # type: ignore[attr-defined]  # all have one
# A package runner may take a minute to fetch an MCP server.
_SERVER_STARTS_S: Final = 60.0


def revived(left: LeftTurn, parent: TurnState | None, database: Database) -> tuple[TurnState, TurnRecorder]:
    """The turn with all it has sent, as one that nobody owns. Raises one of `json_text.BAD` when its log has holes.

    `parent` waits for it, and finds it by its call.
    """
    turn = left.detail.turn
    turn_id, events = TurnId(turn.turn_id), _events(left)
    turn_recorder = TurnRecorder(turn_id, TurnLog(events), database)
    turn_state = TurnState(
        turn_id=turn_id, session_id=SessionId(turn.session_id), skill=turn.skill, model=turn.model, stored=True,
        detached=True, log=turn_recorder.log, emit=deduplicated_emit(turn_recorder), store=turn_recorder.flush,
        # The daemon's absence is a part of the time.
        timeout_s=left.request.timeout_s, spent_s=time.time() - seconds_of(turn.created_at),
        steering=Steering(_not_yet_shown(left, events)), delegated=left.delegated, answers=left.answers,
        parent=parent, resumed=True,
    )  # fmt: skip
    if parent is not None and left.caller is not None:
        parent.answers[left.caller[1]] = turn_state
    return turn_state, turn_recorder


async def plan_of(services: Services, turns: Delegates, left: LeftTurn, skill: LoadedSkill, place: str | None) -> Plan:
    """The plan for going on; `place` is where the skill was found.

    Raises RpcError when the model or a tool that was called no longer exists.
    """
    detail, request = left.detail, left.request
    # The setting of the turns that it delegates to.
    asked = replace(request, options=detail.options)
    spec = await services.models.resolve_to_answer(detail.turn.model)

    async def history() -> tuple[EarlierTurn, ...]:
        return history_of(await services.database.sessions.whole_history(detail.turn.session_id))

    async def make_tools(turn: TurnState) -> ToolRunner:
        return await _tools(services, left, partial(toolkit.make, services, turns, asked, skill, place, turn))

    return Plan(
        system=detail.system, message=detail.message, history=history,
        task=AgentTask(
            engine=await services.pool.engine(spec),
            request=generation_request(
                detail.options, seed=detail.seed, skill=not detail.own_system, background=request.detach
            ),
            max_iterations=request.max_iterations or 1, past=detail.steps,
        ),
        n_ctx_tokens=services.settings.inference.n_ctx, make_tools=make_tools, shown=detail.history or PromptHistory(),
    )  # fmt: skip


async def _tools(
    services: Services, left: LeftTurn, make: Callable[[Iterable[ToolCall]], Awaitable[ToolRunner]]
) -> ToolRunner:
    """The turn's tools, once those are there that it is about to call."""
    needed = _to_be_called(left.detail.steps[-1]) & {tool.name for tool in left.detail.tools}
    await services.tools.wait_for(needed, _SERVER_STARTS_S)
    tools = await make(left.detail.tool_calls)
    missing = needed - {tool.name for tool in tools.offered}
    if not missing:
        return tools
    name = min(missing)
    raise NotFound(
        f"the tool {name}, which the turn was about to call when the daemon ended, is not there any more",
        hint="`agentgw tools` lists those that are, and what is wrong with others", kind="tool", id=name,
    )  # fmt: skip


def _to_be_called(step: TurnStep) -> set[str]:
    return {call.tool for call in step.calls if call.tool is not None and call.content is None}


def _not_yet_shown(left: LeftTurn, events: Iterable[TurnEvent]) -> list[str]:
    """Words that the user added after the last step that is on record."""
    added = [event.text for event in events if isinstance(event, TurnSteered)]
    return added[sum(len(step.steered) for step in left.detail.steps) :]


def _events(left: LeftTurn) -> tuple[TurnEvent, ...]:
    made: list[TurnEvent] = []
    for row in left.log:
        for seq, method, params in unpack(row):
            if seq != len(made) + 1:
                raise ValueError(f"event {len(made) + 1} is missing")
            made.append(bind(_EVENTS[method], params))
    if len(made) < left.upto_seq:
        raise ValueError(f"event {len(made) + 1} is missing")
    return tuple(made)
