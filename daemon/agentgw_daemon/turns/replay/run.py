"""One stored turn again: same prompt, same seed, recorded tool results. Nothing is carried out, nothing is stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agentgw.protocol.calls.turns import ReplayResult, ReplaySide, TurnDetail, TurnReplayParams
from agentgw.protocol.errors import ModelUnavailable, NotFound, RpcError, SchemaUnmet, SessionBusy
from agentgw.protocol.events import ReplayProgress, TurnDelta, TurnEvent, TurnProgress
from agentgw.protocol.records.schema import record
from agentgw_daemon.agent.loop import AgentRun, AgentTask, TurnOutput, run_agent
from agentgw_daemon.agent.opening import opening_of
from agentgw_daemon.agent.recorder import StepRecorder
from agentgw_daemon.events.steering import RecordedSteering
from agentgw_daemon.inference.structured_output import structured
from agentgw_daemon.prompts.assembly import assemble, generation_request
from agentgw_daemon.prompts.compaction import Fitting
from agentgw_daemon.prompts.prompt import Prompt
from agentgw_daemon.storage.rows import LIVE_STATES
from agentgw_daemon.storage.sessions.steps import ShownPrompt
from agentgw_daemon.turns.replay.comparison import (
    Compared,
    ReplaySetting,
    compare_calls,
    reasons,
    same_prompt,
    similarity,
)
from agentgw_daemon.turns.replay.prompt import stored_prompt
from agentgw_daemon.turns.replay.tools import RecordedTools, recorded_calls

if TYPE_CHECKING:
    from agentgw_daemon.inference.spec import ModelSpec
    from agentgw_daemon.services import Services

# Of a turn that does not say how many it had: as `agent.max_iterations` was by default.
_MAX_ITERATIONS: Final = 10

TellReplay = Callable[[ReplayProgress], Awaitable[None]]


@record
class _Plan:
    """Input of the second run."""

    detail: TurnDetail
    prompt: Prompt
    task: AgentTask
    spec: ModelSpec
    compared: Compared


async def replay(services: Services, params: TurnReplayParams, tell: TellReplay) -> ReplayResult:
    """Run the turn again and compare. Raises RpcError when it cannot be run at all; cancelled, nothing is left."""
    services.check_serving()
    detail = await services.database.turns.detail(params.turn_id)
    if detail.turn.state in LIVE_STATES:
        raise SessionBusy(
            f"turn {detail.turn.turn_id} has not ended", hint=f"`agentgw attach {detail.turn.turn_id}` watches it",
            session_id=detail.turn.session_id, turn_id=detail.turn.turn_id,
        )  # fmt: skip
    current = await _current_text(services, detail)
    system = current if params.skill_text == "current" and current is not None else detail.system
    spec = await _model(services, params, detail)
    prompt = await stored_prompt(services.database, detail, system)
    task = AgentTask(
        engine=await services.pool.engine(spec),
        # Everything is computed anew, as with an explicit seed: the same numbers in the same order.
        request=generation_request(
            detail.options, seed=detail.seed, recompute=True, schema=detail.schema, background=params.background
        ),
        max_iterations=detail.max_iterations or _MAX_ITERATIONS,
    )
    plan = _Plan(detail=detail, prompt=prompt, task=task, spec=spec, compared=_compared(detail, spec))
    tools = RecordedTools(detail)
    answered, left_out = await _run(plan, tools, services.settings.inference.n_ctx, tell)
    recorded = _recorded(detail)
    calls = compare_calls(recorded_calls(detail), tools.made)
    setting = ReplaySetting(
        skill_changed=current is not None and current != detail.system,
        skill_missing=current is None and not detail.own_system, current_skill=params.skill_text == "current",
        left_out_turns=left_out, compared=plan.compared,
    )  # fmt: skip
    same_end = (recorded.finish_reason, recorded.error) == (answered.finish_reason, answered.error)
    return ReplayResult(
        turn_id=detail.turn.turn_id, session_id=detail.turn.session_id, skill=detail.turn.skill,
        identical=same_end and recorded.text == answered.text and all(call.change == "same" for call in calls),
        similarity=similarity(recorded.text, answered.text), compared=plan.compared,
        prompt=same_prompt(recorded, answered), reasons=reasons(detail, recorded, answered, calls, setting),
        calls=calls, recorded=recorded, replayed=answered,
    )  # fmt: skip


async def _current_text(services: Services, detail: TurnDetail) -> str | None:
    """The text of the turn's skill as it is; None when the turn brought its own system text along, or the skill
    is gone.
    """
    if detail.own_system:
        return None
    try:
        return (await services.projects.skill_set(detail.cwd)).get(detail.turn.skill).instructions.strip()
    except NotFound:
        return None


async def _model(services: Services, params: TurnReplayParams, detail: TurnDetail) -> ModelSpec:
    try:
        return await services.models.resolve_to_answer(params.model or detail.turn.model)
    except ModelUnavailable as error:
        if params.model is None:
            error.hint = error.hint or "name another one with -m"
        raise


def _compared(detail: TurnDetail, spec: ModelSpec) -> Compared:
    if spec.kind == "builtin":
        return "greedy"
    if detail.options.seed is not None and spec.kind != "provider":
        return "seed"
    if spec.kind == "provider" or (detail.seed is None and detail.options.temperature != 0):
        # The seed of an endpoint is its own affair, and with it the batches that even its likeliest word depends on.
        return "chance"
    # Only an explicit seed has everything computed anew. Other turns go on from kept keys and values, share their
    # batches and check guessed tokens many at a time: not quite the same numbers, also at temperature 0.
    return "loose"


async def _run(plan: _Plan, tools: RecordedTools, n_ctx_tokens: int, tell: TellReplay) -> tuple[ReplaySide, int]:
    """The second run, and how many turns more than in the first did not fit."""
    detail, task, emit = plan.detail, plan.task, _Emitter(plan.detail, tell)
    opening = await opening_of(task.engine, tools, detail.schema, emit)
    # As the first run was shown it, and trimmed further only where that is too much for this model: what fitted into
    # the same one, counted in the same way, fits again.
    fitting = Fitting(
        engine=task.engine, count=opening.count, model=plan.spec.name, n_ctx_tokens=n_ctx_tokens,
        shows_tools=opening.shows_tools,
    )  # fmt: skip
    made = await assemble(plan.prompt, task.request, fitting, shown=detail.history)
    agent = AgentRun(
        task=replace(task, request=made.request), recorder=StepRecorder(None, ShownPrompt()), tools=tools,
        tool_calling=opening.tool_calling, steering=RecordedSteering(step.steered for step in detail.steps),
    )  # fmt: skip
    answer = TurnOutput()
    error: RpcError | None = None
    await run_agent(agent, answer, emit)
    if detail.schema is not None and answer.finished is not None:
        try:
            await structured.verify(answer.text, answer.finished.finish_reason, detail.schema)
        except SchemaUnmet as unmet:
            # Not that the replay failed: this is what came of the turn.
            error = unmet
    finished = answer.finished
    assert finished is not None, "a run that ends has had a step"
    side = ReplaySide(
        model=plan.spec.name, text=answer.text, finish_reason=None if error else finished.finish_reason,
        error=error.message if error else None, usage=finished.usage, timings=finished.timings,
        prompt_sha256=finished.prompt_sha256, model_sha256=finished.model_sha256, engine=finished.engine,
    )  # fmt: skip
    return side, made.left_out_turns


class _Emitter:
    """Turns the events of the second run into its progress."""

    def __init__(self, detail: TurnDetail, tell: TellReplay) -> None:
        self._turn_id = detail.turn.turn_id
        self._wanted = detail.usage.completion_tokens
        self._tell = tell
        self._pieces = 0

    async def __call__(self, *events: TurnEvent) -> None:
        before = self._pieces
        for event in events:
            match event:
                case TurnProgress(phase=phase, done=done, total=total, position=position):
                    await self._tell(
                        ReplayProgress(
                            replayed_turn_id=self._turn_id, phase=phase, done=done, total=total, position=position
                        )
                    )
                case TurnDelta():
                    self._pieces += 1
                case _:
                    continue
        if self._pieces > before:
            await self._tell(
                ReplayProgress(replayed_turn_id=self._turn_id, phase="answering", done=self._pieces, total=self._wanted)
            )


def _recorded(detail: TurnDetail) -> ReplaySide:
    return ReplaySide(
        model=detail.turn.model, text=detail.text, finish_reason=detail.turn.finish_reason, error=detail.turn.error,
        usage=detail.usage, timings=detail.timings, prompt_sha256=detail.prompt_sha256,
        model_sha256=detail.model_sha256, engine=detail.engine,
    )  # fmt: skip
