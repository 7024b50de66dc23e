"""One turn from its prompt to its end: runs the engine, numbers and stores what it says.

`run` is the only place that decides how a turn ends. Whatever happens (done, cancelled, failed, a bug), the
turn gets one last event and one outcome, and what was said is stored before anyone is told that it ended.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import trio

from agentgw.errors import RpcError
from agentgw.events import TurnCompleted, TurnNotice, TurnProgress, TurnStarted
from agentgw.replays import OfferedTool, PromptHistory
from agentgw.results import TurnResult
from agentgw.schema import dump, record
from agentgw.types import FinishReason, Options, Timings, Usage
from agentgw_daemon.agent.loop import Answer
from agentgw_daemon.agent.loop import Run as AgentRun
from agentgw_daemon.agent.loop import run as run_agent
from agentgw_daemon.agent.recorder import StepRecorder
from agentgw_daemon.compaction import compacted
from agentgw_daemon.dispatch import internal_error
from agentgw_daemon.inference import structured
from agentgw_daemon.inference.engine import Engine
from agentgw_daemon.inference.engine import Request as Completion
from agentgw_daemon.prompt import Exchange, Fitted, Prompt, fit, surely_fits
from agentgw_daemon.storage.log import LogRow, pack
from agentgw_daemon.storage.steps import Shown
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

    async def prompt(self) -> Prompt:
        """System text, what the schema asks for, the session so far, the message."""
        system = self.system if self.schema is None else structured.instructed(self.system, self.schema)
        return Prompt(system=system, history=await self.history(), message=self.message)


async def run(live: LiveTurn, plan: Plan, database: Database | None) -> None:
    """Run the turn to its end. Never raises but on cancellation from outside. `database` None stores nothing."""
    answer = Answer()
    error: RpcError | None = None
    store = _Store(live, database)
    with live.scope:
        try:
            await live.append(TurnStarted(skill=live.skill, model=live.model))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.flush_often)
                await _answer(live, plan, answer, store)
                nursery.cancel_scope.cancel()
        except* RpcError as group:
            error = _first(group)
        except* Exception as group:  # noqa: BLE001 - supervision point: a bug ends this turn, not the daemon
            error = internal_error(group, f"turn {live.turn_id}")
    with trio.CancelScope(shield=True), trio.move_on_after(_FINISH_S):
        await _end(live, answer, error, store)
    if live.outcome is None:
        live.end(internal_error(TimeoutError("the turn could not be stored in time"), f"turn {live.turn_id}"))


async def _answer(live: LiveTurn, plan: Plan, answer: Answer, store: _Store) -> None:
    prompt = await plan.prompt()
    fitted = Fitted(messages=prompt.messages())
    history = PromptHistory()
    if not surely_fits(prompt, plan.n_ctx_tokens):
        await live.append(TurnProgress(phase="loading"))
        shown = await compacted(
            prompt, session_id=live.session_id, turn_ids=[one.turn_id for one in prompt.history],
            database=store.database, engine=plan.engine, max_tokens=plan.options.max_tokens, model=live.model,
        )  # fmt: skip
        if shown.notice:
            await live.append(TurnNotice(code="context_compacted", text=shown.notice))
        fitted = await fit(shown.prompt, plan.engine.count, max_tokens=plan.options.max_tokens, model=live.model)
        history = PromptHistory(
            left_out_turns=fitted.left_out_turns, summarised_turns=shown.turns, summary=shown.summary
        )
    if fitted.left_out_turns:
        await live.append(TurnNotice(code="context_trimmed", text=_left_out(fitted)))
    completion = Completion(
        messages=fitted.messages, options=plan.options, fresh=plan.options.seed is not None, schema=plan.schema,
        draw=plan.seed, owner=live.session_id if live.stored else "", skill=plan.skill_text, background=live.detached,
    )  # fmt: skip
    kit = await plan.kit(live) if plan.kit is not None else None
    recorder = store.record(history, () if kit is None else kit.offered)
    agent = AgentRun(
        engine=plan.engine, messages=fitted.messages, base=completion, recorder=recorder, tools=kit,
        max_iterations=plan.max_iterations,
    )  # fmt: skip
    try:
        await run_agent(agent, answer, live.append)
    finally:
        live.tool_calls = kit.calls if kit is not None else ()
    if plan.schema is not None and answer.finished is not None:
        await structured.verify(answer.text, answer.finished.finish_reason, plan.schema)


def _left_out(fitted: Fitted) -> str:
    tokens = f"({fitted.left_out_tokens} tokens)"
    if fitted.left_out_turns == 1:
        return f"the oldest turn {tokens} was left out"
    return f"the {fitted.left_out_turns} oldest turns {tokens} were left out"


async def _end(live: LiveTurn, answer: Answer, error: RpcError | None, store: _Store) -> None:
    finished = answer.finished
    reason: FinishReason = finished.finish_reason if finished else "cancelled"
    usage = finished.usage if finished else Usage(completion_tokens=len(answer.texts))
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
        self._written = 0
        self._recorder: StepRecorder | None = None

    def record(self, history: PromptHistory, tools: tuple[OfferedTool, ...]) -> StepRecorder:
        """Keep the model's steps from now on."""
        shown = Shown(history=history if history != PromptHistory() else None, tools=tools)
        self._recorder = StepRecorder(self._live.turn_id, self.database, shown)
        return self._recorder

    async def flush_often(self) -> None:
        """Write new events at most once a second, and only when there are any."""
        if self.database is None:
            return
        while True:
            await self._live.wait_longer_than(self._written)
            await trio.sleep(_FLUSH_S)
            rows, upto = self._rows()
            try:
                await self.database.log.append(self._live.turn_id, rows)
                self._written = upto
            except RpcError as error:
                # The end of the turn writes everything that is still missing, or says that it could not.
                log.warning("turn %s: log not written: %s", self._live.turn_id, error.message)

    async def finish(self, end: TurnEnd) -> None:
        if self.database is not None:
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
