"""One turn from its prompt to its end: runs the engine, numbers and stores what it says.

`run` is the only place that decides how a turn ends. Whatever happens (done, cancelled, failed, a bug), the
turn gets one last event and one outcome, and what was said is stored before anyone is told that it ended.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import trio

from agentgw.errors import RpcError, ShuttingDown
from agentgw.events import (
    TurnApproval,
    TurnCompleted,
    TurnDelta,
    TurnEvent,
    TurnNotice,
    TurnProgress,
    TurnStarted,
    TurnToolCall,
    TurnToolResult,
)
from agentgw.replays import OfferedTool, PromptHistory, TurnStep
from agentgw.results import TurnResult
from agentgw.schema import dump, record
from agentgw.types import ChatMessage, FinishReason, Options, Timings, Usage
from agentgw_daemon.agent.loop import Answer, Emit, calling_of
from agentgw_daemon.agent.loop import Run as AgentRun
from agentgw_daemon.agent.loop import run as run_agent
from agentgw_daemon.agent.opening import Opening
from agentgw_daemon.agent.recorder import StepRecorder
from agentgw_daemon.agent.usage import sum_usage
from agentgw_daemon.compaction import as_shown, compacted
from agentgw_daemon.dispatch import internal_error
from agentgw_daemon.failpoint import failpoint
from agentgw_daemon.inference import structured
from agentgw_daemon.inference.engine import Calling, Engine
from agentgw_daemon.inference.engine import Request as Completion
from agentgw_daemon.prompt import Exchange, Fitted, Prompt, fit, surely_fits
from agentgw_daemon.storage.log import LogRow, pack
from agentgw_daemon.storage.steps import Shown, StepRows
from agentgw_daemon.storage.turns import TurnEnd

if TYPE_CHECKING:
    from agentgw_daemon.agent.toolkit import Toolkit
    from agentgw_daemon.live import LiveTurn
    from agentgw_daemon.storage.database import Database

log = logging.getLogger(__name__)

# What a crash may cost of a running answer. Nothing is written while nothing is said.
_FLUSH_S: Final = 1.0
# The last write of a turn is shielded from cancellation; a disk that hangs must not hold the daemon forever.
_FINISH_S: Final = 15.0


@record
class Past:
    """What an earlier daemon has done of a turn: how the prompt was shown to the model, and the model's steps."""

    history: PromptHistory
    steps: tuple[TurnStep, ...]


@record
class Plan:
    """All that a turn needs to know before it runs.

    `history` is asked when the turn runs, not before: until the turn is stored, another may still end in its session.
    """

    system: str
    message: str
    history: Callable[[], Awaitable[tuple[Exchange, ...]]]
    options: Options
    engine: Engine
    # The system text is the skill's own and not one that somebody gave for this turn.
    skill_text: bool = False
    # Context the settings ask for; 0 leaves it to the worker.
    n_ctx_tokens: int = 0
    # Makes what the model may call; without it, nothing.
    kit: Callable[[LiveTurn], Awaitable[Toolkit]] | None = None
    max_iterations: int = 1
    # Drawn for this turn, of use where the options have no seed.
    seed: int | None = None
    schema: Mapping[str, Any] | None = None
    # Nobody waits at a screen for it.
    background: bool = False
    past: Past | None = None

    async def prompt(self) -> Prompt:
        """System text, what the schema asks for, the session so far, the message."""
        system = self.system if self.schema is None else structured.instructed(self.system, self.schema)
        return Prompt(system=system, history=await self.history(), message=self.message)


async def run(live: LiveTurn, plan: Plan, database: Database | None) -> None:
    """Run the turn to its end. Never raises but on cancellation from outside. `database` None stores nothing."""
    store = _Store(live, database)

    async def do(answer: Answer) -> None:
        await live.append(TurnStarted(skill=live.skill, model=live.model))
        await _answer(live, plan, answer, store)

    await _supervise(live, do, store)


async def go_on(live: LiveTurn, prepare: Callable[[], Awaitable[Plan]], database: Database) -> None:
    """As `run`, for a turn with a past. When `prepare` raises RpcError, the turn ends with that."""
    store = _Store(live, database)

    async def do(answer: Answer) -> None:
        await _answer(live, await prepare(), answer, store)

    await _supervise(live, do, store)


async def _supervise(live: LiveTurn, do: Callable[[Answer], Awaitable[None]], store: _Store) -> None:
    """Do it, and whatever comes of it, give the turn its end, or leave it to the next daemon."""
    answer = Answer(event.text for event in live.events if isinstance(event, TurnDelta) and event.channel == "answer")
    error: RpcError | None = None
    with live.scope:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.flush_often)
                await do(answer)
                nursery.cancel_scope.cancel()
        except* RpcError as group:
            error = _first(group)
        except* Exception as group:  # noqa: BLE001 - supervision point: a bug ends this turn, not the daemon
            error = internal_error(group, f"turn {live.turn_id}")
    if live.suspended and live.scope.cancelled_caught:
        with trio.CancelScope(shield=True), trio.move_on_after(_FINISH_S):
            await store.flush()
        live.end(_left_waiting(live))
        return
    with trio.CancelScope(shield=True), trio.move_on_after(_FINISH_S):
        await _end(live, answer, error, store)
    if live.outcome is None:
        live.end(internal_error(TimeoutError("the turn could not be stored in time"), f"turn {live.turn_id}"))


async def _answer(live: LiveTurn, plan: Plan, answer: Answer, store: _Store) -> None:
    past = plan.past
    kit = await plan.kit(live) if plan.kit is not None else None
    calling: Calling | None = None
    if past is not None:
        messages, history = await _shown_before(plan, past)
    else:
        if kit is not None and kit.views:
            calling = await calling_of(plan.engine, live.append)
        messages, history = await _shown(live, plan, store, _opening(plan, kit, calling))
    completion = Completion(
        messages=messages, options=plan.options, fresh=plan.options.seed is not None, schema=plan.schema,
        draw=plan.seed, owner=live.session_id if live.stored else "", skill=plan.skill_text,
        background=plan.background,
    )  # fmt: skip
    recorder = store.record(history, () if kit is None else kit.offered, past)
    agent = AgentRun(
        engine=plan.engine, messages=messages, base=completion, recorder=recorder, tools=kit, calling=calling,
        max_iterations=plan.max_iterations, past=past.steps if past is not None else (),
    )  # fmt: skip
    live.emit = _emit(live, store)
    try:
        await run_agent(agent, answer, live.emit)
    finally:
        if kit is not None:
            live.tool_calls, live.tainted = kit.calls, kit.tainted
    if plan.schema is not None and answer.finished is not None:
        await structured.verify(answer.text, answer.finished.finish_reason, plan.schema)


def _opening(plan: Plan, kit: Toolkit | None, calling: Calling | None) -> Opening:
    if kit is None or calling is None:
        return Opening(engine=plan.engine, schema=plan.schema)
    return Opening(engine=plan.engine, calling=calling, views=kit.views, led=kit.led, schema=plan.schema)


async def _shown(
    live: LiveTurn, plan: Plan, store: _Store, opening: Opening
) -> tuple[tuple[ChatMessage, ...], PromptHistory]:
    """The prompt as it fits, and what was done to make it fit; watchers are told of that."""
    prompt = await plan.prompt()
    fitted = Fitted(messages=prompt.messages())
    history = PromptHistory()
    if opening.shows_tools(fitted.messages) or not surely_fits(prompt, plan.n_ctx_tokens):
        if opening.calling is None:
            await live.append(TurnProgress(phase="loading"))
        shown = await compacted(
            prompt, session_id=live.session_id, turn_ids=[one.turn_id for one in prompt.history],
            database=store.database, engine=plan.engine, count=opening.count, max_tokens=plan.options.max_tokens,
            model=live.model,
        )  # fmt: skip
        if shown.notice:
            await live.append(TurnNotice(code="context_compacted", text=shown.notice))
        fitted = await fit(shown.prompt, opening.count, max_tokens=plan.options.max_tokens, model=live.model)
        history = PromptHistory(
            left_out_turns=fitted.left_out_turns, summarised_turns=shown.turns, summary=shown.summary
        )
    if fitted.left_out_turns:
        await live.append(TurnNotice(code="context_trimmed", text=_left_out(fitted)))
    return fitted.messages, history


async def _shown_before(plan: Plan, past: Past) -> tuple[tuple[ChatMessage, ...], PromptHistory]:
    """The prompt as the model was shown it before; no model is asked."""
    return as_shown(await plan.prompt(), past.history).messages(), past.history


def _emit(live: LiveTurn, store: _Store) -> Emit:
    """Tell the watchers, but for what an earlier daemon has said already of calls and questions."""
    said = {key for event in live.events if (key := _key(event)) is not None}

    async def emit(*events: TurnEvent) -> None:
        await live.append(*(event for event in events if _key(event) not in said))
        if any(isinstance(event, TurnApproval) for event in events):
            # So that an answer never is on record without its question, and numbers stay what they were.
            await store.flush()

    return emit


def _key(event: TurnEvent) -> tuple[str, str] | None:
    """What there is one event of."""
    match event:
        case TurnToolCall(call_id=one) | TurnToolResult(call_id=one) | TurnApproval(approval_id=one):
            return event.method, one
        case _:
            return None


def _left_waiting(live: LiveTurn) -> ShuttingDown:
    return ShuttingDown(
        "the daemon stops while the turn waits for an approval",
        hint=f"the next daemon goes on with it: `agentgw attach {live.turn_id}`",
    )


def _left_out(fitted: Fitted) -> str:
    tokens = f"({fitted.left_out_tokens} tokens)"
    if fitted.left_out_turns == 1:
        return f"the oldest turn {tokens} was left out"
    return f"the {fitted.left_out_turns} oldest turns {tokens} were left out"


async def _end(live: LiveTurn, answer: Answer, error: RpcError | None, store: _Store) -> None:
    finished = answer.finished
    reason: FinishReason = finished.finish_reason if finished and answer.complete else "cancelled"
    own = finished.usage if finished else Usage(completion_tokens=len(answer.texts))
    live.usage = usage = sum_usage(own, live.delegated)
    timings = finished.timings if finished else Timings()
    live.append_nowait(TurnCompleted(finish_reason="failed" if error else reason))
    end = TurnEnd(
        state="failed" if error else ("cancelled" if reason == "cancelled" else "completed"),
        finish_reason=None if error else reason,
        text=answer.text, usage=usage, timings=timings, error=error.message if error else None,
        prompt_sha256=finished.prompt_sha256 if finished else None,
        model_sha256=finished.model_sha256 if finished else None,
        engine=finished.engine if finished else None, model=live.model,
    )  # fmt: skip
    try:
        await store.finish(end)
    except RpcError as failed:
        # The answer was given but is not stored: the client must not believe otherwise.
        error = error or failed
    if error:
        live.end(error)
        return
    live.end(
        TurnResult(
            turn_id=live.turn_id, session_id=live.session_id, text=answer.text, finish_reason=reason, usage=usage,
            timings=timings, tool_calls=live.tool_calls, last_seq=live.last_seq,
        )
    )  # fmt: skip


class _Store:
    """The turn's side of the database: nothing at all for an ephemeral turn."""

    def __init__(self, live: LiveTurn, database: Database | None) -> None:
        self.database: Final = database
        self._live = live
        # Events that came from the database need not go there again.
        self._written = live.last_seq
        # Rows are cut where the one before ended.
        self._writing = trio.Lock()
        self._recorder: StepRecorder | None = None

    def record(self, history: PromptHistory, tools: tuple[OfferedTool, ...], past: Past | None) -> StepRecorder:
        """Keep the model's steps from now on."""
        shown = Shown(history=history if history != PromptHistory() else None, tools=tools)
        if past is None:
            self._recorder = StepRecorder(self._write_steps, shown)
        else:
            self._recorder = StepRecorder(self._write_steps, None, past.steps)
        return self._recorder

    async def flush_often(self) -> None:
        """Write new events at most once a second, and only when there are any."""
        if self.database is None:
            return
        while True:
            await self._live.wait_longer_than(self._written)
            await trio.sleep(_FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write new events."""
        if self.database is None:
            return
        async with self._writing:
            rows, upto = self._rows()
            try:
                await self.database.log.append(self._live.turn_id, rows)
                self._written = upto
            except RpcError as error:
                # The end of the turn writes everything that is still missing, or says that it could not.
                log.warning("turn %s: log not written: %s", self._live.turn_id, error.message)

    async def _write_steps(self, steps: StepRows) -> None:
        """In one commit with what was said until now, so that a step is never stored without its words."""
        if self.database is None:
            return
        async with self._writing:
            rows, upto = self._rows()
            await self.database.steps.write(self._live.turn_id, steps, rows)
            self._written = upto

    async def finish(self, end: TurnEnd) -> None:
        if self.database is not None:
            failpoint("turn-unended")
            steps = self._recorder.rest() if self._recorder is not None else None
            await self.database.turns.finish(self._live.turn_id, end, self._rows()[0], steps)

    def _rows(self) -> tuple[tuple[LogRow, ...], int]:
        events = self._live.events
        first = self._written
        numbered = ((seq, event.method, dump(event)) for seq, event in enumerate(events[first:], first + 1))
        return pack(numbered), len(events)


def _first(group: BaseExceptionGroup[RpcError]) -> RpcError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, RpcError)
    return error
