"""One turn from its prompt to its end: runs the engine, numbers and stores what it says.

`run_turn` is the only place that decides how a turn ends. Whatever happens (done, cancelled, failed, a bug), the
turn gets one last event and one outcome, and what was said is stored before anyone is told that it ended.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.calls.turns import TurnFailure, TurnResult
from agentgw.protocol.errors import RpcError, ShuttingDown, Timeout
from agentgw.protocol.events import TurnCompleted, TurnDelta, TurnStarted, TurnSteered
from agentgw.protocol.types import FinishReason, Timings, Usage
from agentgw_daemon.agent.loop import AgentRun, TurnOutput, run_agent
from agentgw_daemon.agent.usage import sum_usage
from agentgw_daemon.inference.structured_output import structured
from agentgw_daemon.observability.failpoint import failpoint
from agentgw_daemon.observability.supervision import internal_error
from agentgw_daemon.storage.sessions.turns import TurnEnd
from agentgw_daemon.turns.opening_prompt import opening_prompt
from agentgw_daemon.turns.recorder import TurnRecorder

if TYPE_CHECKING:
    from agentgw_daemon.events.turn_state import TurnState
    from agentgw_daemon.turns.plan import Plan

log = logging.getLogger(__name__)

# The last write of a turn is shielded from cancellation; a disk that hangs must not hold the daemon forever.
_FINISH_S: Final = 15.0


async def run_turn(turn: TurnState, plan: Plan, turn_recorder: TurnRecorder) -> None:
    """Run the turn to its end. Never raises but on cancellation from outside."""

    async def do(answer: TurnOutput) -> None:
        await turn.log.append(TurnStarted(skill=turn.skill, model=turn.model))
        await _answer(turn, plan, answer, turn_recorder)

    await _supervise(turn, do, turn_recorder)


async def go_on(turn: TurnState, prepare: Callable[[], Awaitable[Plan]], turn_recorder: TurnRecorder) -> None:
    """Runs as `run_turn` does a turn with a past. When `prepare` raises RpcError, the turn ends with that."""

    async def do(answer: TurnOutput) -> None:
        failpoint("turn-resumed")
        await _answer(turn, await prepare(), answer, turn_recorder)

    await _supervise(turn, do, turn_recorder)


async def _supervise(turn: TurnState, do: Callable[[TurnOutput], Awaitable[None]], turn_recorder: TurnRecorder) -> None:
    """Run the turn and, however that ends, store the turn's end, or leave the turn to the next daemon."""
    answer = TurnOutput(
        event.text for event in turn.log.events if isinstance(event, TurnDelta) and event.channel == "answer"
    )
    error: RpcError | None = None
    with turn.scope:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(turn_recorder.flush_often)
                await do(answer)
                nursery.cancel_scope.cancel()
        except* RpcError as group:
            error = _first(group)
        except* Exception as group:  # noqa: BLE001 - supervision point: a bug ends this turn, not the daemon
            error = internal_error(group, f"turn {turn.turn_id}")
    turn.steering.close()
    if turn.suspended and turn.scope.cancelled_caught:
        with trio.CancelScope(shield=True), trio.move_on_after(_FINISH_S):
            await turn_recorder.leave()
        turn.end(_left_waiting(turn))
        return
    if error is None and turn.scope.cancelled_caught and turn.has_timed_out:
        error = Timeout(f"no answer within {turn.timeout_s:g} seconds", timeout_s=turn.timeout_s)
    with trio.CancelScope(shield=True), trio.move_on_after(_FINISH_S):
        await _end(turn, answer, error, turn_recorder)
    if turn.outcome is None:
        turn.end(internal_error(TimeoutError("the turn could not be stored in time"), f"turn {turn.turn_id}"))


async def _answer(turn: TurnState, plan: Plan, answer: TurnOutput, turn_recorder: TurnRecorder) -> None:
    first = await opening_prompt(plan, turn)
    made, tools = await first.assembled(turn_recorder.database), first.tools
    recorder = turn_recorder.record(
        made.history, () if tools is None else tools.offered, None if plan.shown is None else plan.task.past
    )
    agent = AgentRun(
        task=dataclasses.replace(plan.task, request=made.request), recorder=recorder, tools=tools,
        tool_calling=first.opening.tool_calling, steering=turn.steering,
    )  # fmt: skip
    try:
        await run_agent(agent, answer, turn.emit)
    finally:
        if tools is not None:
            turn.tool_calls, turn.tainted = tools.calls, tools.tainted
    schema = made.request.schema
    if schema is not None and answer.finished is not None:
        await structured.verify(answer.text, answer.finished.finish_reason, schema)


def _left_waiting(turn: TurnState) -> ShuttingDown:
    return ShuttingDown(
        "the daemon stops while the turn waits for an approval",
        hint=f"the next daemon goes on with it: `agentgw attach {turn.turn_id}`",
    )


async def _end(turn: TurnState, answer: TurnOutput, error: RpcError | None, turn_recorder: TurnRecorder) -> None:
    finished = answer.finished
    reason: FinishReason = finished.finish_reason if finished and answer.complete else "cancelled"
    own = finished.usage if finished else Usage(completion_tokens=len(answer.texts))
    turn.usage = usage = sum_usage(own, turn.delegated)
    timings = finished.timings if finished else Timings()
    turn.log.append_nowait(TurnCompleted(finish_reason="failed" if error else reason))
    end = TurnEnd(
        state="failed" if error else ("cancelled" if reason == "cancelled" else "completed"),
        finish_reason=None if error else reason,
        text=answer.text, usage=usage, timings=timings, error=error.message if error else None,
        failure=failure_of(error),
        prompt_sha256=finished.prompt_sha256 if finished else None,
        model_sha256=finished.model_sha256 if finished else None,
        engine=finished.engine if finished else None, model=turn.model, sources=tuple(turn.sources),
        steered=tuple(event.text for event in turn.log.events if isinstance(event, TurnSteered)),
    )  # fmt: skip
    try:
        await turn_recorder.finish(end)
    except RpcError as failed:
        # The answer was given but is not stored: the client must not believe otherwise.
        error = error or failed
    except Exception as bug:  # noqa: BLE001 - supervision point: what cannot be stored ends this turn
        error = error or internal_error(bug, f"the end of turn {turn.turn_id}")
        await turn_recorder.give_up(error.message)
    if error:
        turn.end(error)
        return
    turn.end(
        TurnResult(
            turn_id=turn.turn_id, session_id=turn.session_id, text=answer.text, finish_reason=reason, usage=usage,
            timings=timings, tool_calls=turn.tool_calls, sources=tuple(turn.sources), last_seq=turn.log.last_seq,
        )
    )  # fmt: skip


def failure_of(error: RpcError | None) -> TurnFailure | None:
    """The error as it is kept with a turn."""
    if error is None:
        return None
    wire = error.to_wire()
    return TurnFailure(code=wire["code"], data=wire.get("data", {}))


def _first(group: BaseExceptionGroup[RpcError]) -> RpcError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, RpcError)
    return error
