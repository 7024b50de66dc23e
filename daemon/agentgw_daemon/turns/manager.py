"""Turns of the daemon: starts them, finds them, lets any connection watch one, from its first event if it likes.

Running turns live in a nursery of the daemon's, not of the connection that asked: a detached turn outlives
its client. Ended turns are read back from the database; ephemeral ones are remembered for a short while.
"""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.calls.turns import PrefillResult, TurnResult, TurnStartParams
from agentgw.protocol.errors import NotFound, Overloaded, SessionBusy, ShuttingDown
from agentgw.protocol.events import TurnNotice
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Session, SessionId, Turn, TurnId
from agentgw_daemon.agent import toolkit
from agentgw_daemon.agent.loop import AgentTask
from agentgw_daemon.agent.named_tools import check_request
from agentgw_daemon.events.turn_log import TurnLog
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.inference.structured_output import structured
from agentgw_daemon.knowledge.grounding import grounding_of
from agentgw_daemon.observability.supervision import internal_error, supervised
from agentgw_daemon.prompts.assembly import generation_request
from agentgw_daemon.prompts.compaction import shown_history
from agentgw_daemon.prompts.prompt import EarlierTurn, with_files
from agentgw_daemon.skills import routing
from agentgw_daemon.storage.json_text import BAD
from agentgw_daemon.storage.sessions.log import shown
from agentgw_daemon.storage.sessions.turns import NewTurn
from agentgw_daemon.system.ids import new_id
from agentgw_daemon.turns.earlier import resume
from agentgw_daemon.turns.earlier.ended import outcome_of
from agentgw_daemon.turns.plan import Plan
from agentgw_daemon.turns.preview.dry_run import dry_run
from agentgw_daemon.turns.preview.prefill import prefill
from agentgw_daemon.turns.recorder import TurnRecorder, deduplicated_emit
from agentgw_daemon.turns.request import brings_data, cwd_of, kept, needs_no_tools, options_of
from agentgw_daemon.turns.run import go_on, run_turn

if TYPE_CHECKING:
    from agentgw_daemon.events.stored_event import StoredEvent
    from agentgw_daemon.inference.spec import ModelSpec
    from agentgw_daemon.services import Services
    from agentgw_daemon.skills.model import LoadedSkill
    from agentgw_daemon.storage.sessions.unfinished import LeftTurn

# Session, skill and model of a turn, and what to tell the user about the choice.
_Chosen = tuple["Session | None", "LoadedSkill", "ModelSpec", tuple[TurnNotice, ...]]

log = logging.getLogger(__name__)

# Ended ephemeral turns that can still be attached to; they exist nowhere else.
_REMEMBERED: Final = 32
# For turns that an earlier daemon left at their questions to be there again before anybody is served. They need some
# milliseconds, but for what waits for a slow MCP server.
_BACK_AT_QUESTIONS_S: Final = 2.0
# As many as `Options.seed` has.
_SEEDS: Final = 2**32 - 1


@record
class _Caller:
    """A turn that delegates, and its call that does."""

    turn: TurnState
    call_id: str


class Turns:
    """The turns of one daemon."""

    def __init__(self, services: Services, nursery: trio.Nursery) -> None:
        self._services = services
        self._nursery = nursery
        self._running: dict[TurnId, TurnState] = {}
        self._ended: OrderedDict[TurnId, TurnState] = OrderedDict()
        self._sessions: dict[SessionId, TurnId] = {}
        self._all_ended = trio.lowlevel.ParkingLot()

    @property
    def running(self) -> tuple[TurnState, ...]:
        """Turns that have not ended."""
        return tuple(self._running.values())

    async def start(self, params: TurnStartParams) -> TurnState | Turn:
        """Start a turn. When its idempotency key was used before: that turn, running or as it was stored."""
        self._services.check_serving()
        if params.idempotency_key is not None and not params.ephemeral:
            # Also when its skill or model is gone by now: it is that turn which was asked for.
            known = await self._services.database.turns.of_key(params.idempotency_key)
            if known is not None:
                return self._running.get(TurnId(known.turn_id)) or known
        chosen = await self._resolve(params)
        return await self._start(params, chosen, tainted=brings_data(params))

    async def delegate(
        self, parent: TurnState, call_id: str, params: TurnStartParams, skill: LoadedSkill, *, tainted: bool
    ) -> TurnState:
        """Start a turn, in a new session, that works for another; whoever starts it ends it before its own turn."""
        self._services.check_serving()
        spec = await self._services.models.resolve_to_answer(params.model)
        started = await self._start(
            params, (None, skill, spec, ()), tainted=tainted, caller=_Caller(turn=parent, call_id=call_id)
        )
        assert isinstance(started, TurnState), "it has no idempotency key"
        return started

    async def _start(
        self, params: TurnStartParams, chosen: _Chosen, *, tainted: bool, caller: _Caller | None = None
    ) -> TurnState | Turn:
        services = self._services
        session, skill, spec, routed = chosen
        plan = await self._plan(params, skill, spec, session)
        task = plan.task
        if params.ephemeral:
            if session is not None:
                self.check_idle(SessionId(session.session_id))
            session_id = SessionId(session.session_id if session else new_id("s"))
            turn_id = TurnId(new_id("t"))
        else:
            # The database decides whether the session is busy and whether the key was used, in one commit.
            started = await services.database.turns.start(
                NewTurn(
                    message=plan.message, skill=skill.name, model=spec.name,
                    session_id=session.session_id if session else None, system=plan.system,
                    options=task.request.options, cwd=params.cwd, idempotency_key=params.idempotency_key,
                    state="running", request=kept(params, task.max_iterations), seed=task.request.fallback_seed,
                    delegated_by=None if caller is None else caller.turn.turn_id,
                    delegated_call=None if caller is None else caller.call_id, tainted=tainted,
                )
            )  # fmt: skip
            turn_id = TurnId(started.turn.turn_id)
            if not started.created:
                return self._running.get(turn_id) or started.turn
            session_id = SessionId(started.turn.session_id)
        turn_recorder = TurnRecorder(turn_id, TurnLog(), None if params.ephemeral else services.database)
        turn = TurnState(
            turn_id=turn_id, session_id=session_id, skill=skill.name, model=spec.name, stored=not params.ephemeral,
            detached=params.detach, log=turn_recorder.log, emit=deduplicated_emit(turn_recorder),
            store=turn_recorder.flush, timeout_s=params.timeout_s, tainted=tainted,
            parent=None if caller is None else caller.turn,
        )  # fmt: skip
        self._enter(turn)
        turn.log.append_nowait(*services.notices, *routed)
        services.notices.clear()
        self._begin(turn, "started", partial(run_turn, turn, plan, turn_recorder))
        return turn

    async def take_up(self) -> tuple[TurnState, ...]:
        """Go on with the turns that an earlier daemon left waiting. Returns them when they can be found.

        They are detached, for whoever started them is gone: what they ask, anybody may answer.
        """
        services = self._services
        database = services.database
        found = await database.unfinished.ids()
        # Before anything is read: whatever it is that ends a daemon, it ends one.
        await database.unfinished.begin(found)
        taken: list[tuple[TurnState, TurnRecorder, LeftTurn]] = []
        for turn_id in found:
            try:
                taken.append(await self._revive(turn_id))
            except Exception as error:  # noqa: BLE001 - supervision point: a bad record costs its own turn
                await self._give_up(turn_id, error)
        for turn, turn_recorder, left in taken:
            self._begin(turn, "resumed", partial(go_on, turn, partial(self._prepare, left), turn_recorder))
        # A kill before they are back at their questions would be taken for their doing.
        with trio.move_on_after(_BACK_AT_QUESTIONS_S):
            for turn, _, _ in taken:
                await services.approvals.wait_asked_again(turn.turn_id)
        return tuple(turn for turn, _, _ in taken)

    async def _revive(self, turn_id: str) -> tuple[TurnState, TurnRecorder, LeftTurn]:
        """Enter a turn that is gone on with, and open its question again. Raises what keeps it from that."""
        services = self._services
        left = await services.database.unfinished.read(turn_id)
        # The waiting turn was there first, and begins only when it can find whom it waits for.
        parent = self._running[TurnId(left.caller[0])] if left.caller else None
        turn, turn_recorder = resume.revived(left, parent, services.database)
        log.info("turn %s goes on", turn_id)
        self._enter(turn)
        await services.approvals.recall(turn_id)
        if not services.approvals.is_asking(turn_id):
            await services.database.turns.set_state(turn_id, "running")
        return turn, turn_recorder, left

    async def _give_up(self, turn_id: str, error: Exception) -> None:
        reason = str(error) if isinstance(error, BAD) else internal_error(error, f"turn {turn_id}").message
        log.warning("turn %s cannot be gone on with: %s", turn_id, reason)
        if (turn := self._running.get(TurnId(turn_id))) is not None:
            self._close(turn)
            if turn.parent is not None:
                # It takes the end from the record: this one never comes to an end to wait for.
                answers = turn.parent.answers
                answers.update({call_id: turn_id for call_id, waited_for in answers.items() if waited_for is turn})
        give_up = self._services.database.unfinished.give_up
        await supervised(f"giving turn {turn_id} up", give_up, turn_id, f"it could not be gone on with: {reason}")

    async def dry_run(self, params: TurnStartParams) -> TurnResult:
        """The request that a turn of `params` would send, rendered and counted by parts; nothing runs, nothing is
        stored.

        Raises ContextOverflow where the turn would, with the parts of what does not fit.
        """
        session, skill, spec, _ = await self._resolve(params)
        plan = await self._plan(params, skill, spec, session)
        return await dry_run(self._services, params, session, skill, plan, spec.name)

    async def prefill(self, params: TurnStartParams) -> PrefillResult:
        """Computes what a turn of `params` would send first. Raises what the turn would."""
        session, skill, spec, _ = await self._resolve(params)
        return await prefill(
            self._services, params, session, skill, await self._plan(params, skill, spec, session), spec
        )

    def find(self, turn_id: str) -> TurnState | None:
        """The running turn of this id or session, or an ended one still remembered."""
        turn = self._running.get(TurnId(turn_id)) or self._ended.get(TurnId(turn_id))
        if turn is None and (by_session := self._sessions.get(SessionId(turn_id))):
            turn = self._running.get(by_session)
        return turn

    def cancel(self, turn_id: str) -> TurnState:
        """Cancel a running turn and give it back; NotFound when no such turn is running."""
        turn = self.find(turn_id)
        if turn is None or turn.outcome is not None:
            hint = "`agentgw turns` lists those that run"
            raise NotFound(f"no running turn {turn_id[:64]}", hint=hint, kind="turn", id=turn_id)
        turn.cancel()
        return turn

    def steer(self, turn_id: str, text: str) -> TurnState:
        """Add to the message of a running turn and give it back. Raises NotFound where it has no next step."""
        turn = self.find(turn_id)
        if turn is None or not turn.steering.is_open:
            hint = "send it as the next message"
            raise NotFound(f"turn {turn_id[:64]} is over", hint=hint, kind="turn", id=turn_id)
        if turn.steering.is_full:
            raise Overloaded(f"turn {turn.turn_id} has too much waiting for its next step", hint="wait for that step")
        turn.steer(text)
        return turn

    def waiting(self) -> frozenset[str]:
        """Ids of the turns that wait for an answer, and of those that wait for them."""
        found: set[str] = set()
        for turn in self.running:
            if self._services.approvals.is_asking(turn.turn_id):
                waiting: TurnState | None = turn
                while waiting is not None:
                    found.add(waiting.turn_id)
                    waiting = waiting.parent
        return frozenset(found)

    async def stop(self) -> None:
        """Cancel all turns and return when each has stored its end and has an outcome.

        Those that wait for an answer are left to the next daemon, with those that wait for them.
        """
        left = self.waiting()
        for turn in self.running:
            if turn.turn_id in left:
                turn.suspend()
            else:
                turn.cancel()
        while self._running:
            await self._all_ended.park()

    async def replay(self, stored: Turn, from_seq: int) -> AsyncIterator[list[StoredEvent]]:
        """The events of a stored turn from `from_seq` on, some at a time."""
        for row in await self._services.database.log.read(stored.turn_id, from_seq):
            yield list(shown(row, from_seq))

    async def stored_outcome(self, stored: Turn) -> TurnResult:
        """See `outcome_of`."""
        return outcome_of(await self._services.database.turns.detail(stored.turn_id))

    def check_idle(self, session_id: SessionId) -> None:
        """Raise SessionBusy when a turn of the session runs."""
        turn_id = self._sessions.get(session_id)
        if turn_id is not None:
            raise SessionBusy(
                f"session {session_id} is busy with turn {turn_id}",
                hint=f"watch it with `agentgw attach {turn_id}` or try again later",
                session_id=session_id, turn_id=turn_id,
            )  # fmt: skip

    async def _resolve(self, params: TurnStartParams) -> _Chosen:
        """The session, skill and model of the turn: the request's word, then the session's, then the default.

        The notices say which skill was found for the message, where it was.
        """
        services = self._services
        if params.schema is not None:
            await structured.check(params.schema)
        await check_request(params, services.tools)
        session = await services.database.sessions.get(params.session_id) if params.session_id is not None else None
        default = session.skill if session else services.settings.agent.default_skill
        notices: tuple[TurnNotice, ...] = ()
        skill_set = await services.projects.skill_set(cwd_of(params, session))
        if params.skill is None and session is None and default == routing.AUTO:
            default, notices = await routing.choose(
                params.message, skill_set, by=services.settings.agent.route_by, models=services.models,
                pool=services.pool,
            )  # fmt: skip
        skill = skill_set.get(params.skill or default)
        if (unused := skill_set.unused(skill.name)) is not None:
            text = f"the project's own {skill.name} is not used: {unused.reason}"
            notices += (TurnNotice(code="project_untrusted", text=text),)
        return session, skill, await services.models.resolve_to_answer(params.model or skill.model), notices

    async def _prepare(self, left: LeftTurn) -> Plan:
        """The plan for going on with a turn. Raises RpcError when what it needs no longer exists."""
        services = self._services
        session = await services.database.sessions.get(left.detail.turn.session_id)
        place = cwd_of(left.request, session)
        skill_set = await services.projects.skill_set(place)
        return await resume.plan_of(services, self, left, skill_set.get(left.detail.turn.skill), place)

    async def _plan(
        self, params: TurnStartParams, skill: LoadedSkill, spec: ModelSpec, session: Session | None
    ) -> Plan:
        services = self._services

        async def history() -> tuple[EarlierTurn, ...]:
            return () if session is None else await shown_history(services.database, session.session_id)

        place, bound = cwd_of(params, session), services.settings.agent.detached_max_tokens
        return Plan(
            system=skill.instructions.strip() if params.system is None else params.system,
            message=with_files(params.message, params.files), history=history,
            task=AgentTask(
                engine=await services.pool.engine(spec),
                request=generation_request(
                    options_of(params, skill.temperature, bound if spec.kind == "file" else 0),
                    seed=secrets.randbelow(_SEEDS), whole=params.whole,
                    skill=params.system is None and params.schema is None, background=params.detach,
                    schema=params.schema,
                ),
                max_iterations=params.max_iterations or skill.max_iterations or services.settings.agent.max_iterations,
            ),
            n_ctx_tokens=services.settings.inference.n_ctx,
            make_tools=None if params.schema is not None or needs_no_tools(params)
            else partial(toolkit.make, services, self, params, skill, place, calls=spec.kind != "builtin"),
            grounding=grounding_of(services.knowledge, services.settings.rag, params, skill),
        )  # fmt: skip

    def _enter(self, turn: TurnState) -> None:
        self._running[turn.turn_id] = turn
        self._sessions[turn.session_id] = turn.turn_id

    def _begin(self, turn: TurnState, news: str, run: Callable[[], Awaitable[None]]) -> None:
        self._nursery.start_soon(supervised, f"running turn {turn.turn_id}", self._run, turn, news, run)

    async def _run(self, turn: TurnState, news: str, run: Callable[[], Awaitable[None]]) -> None:
        hub = self._services.hub
        facts = {"turn_id": turn.turn_id, "session_id": turn.session_id, "skill": turn.skill, "model": turn.model}
        hub.publish("turns", news, **facts)
        try:
            await run()
        except* Exception as group:  # noqa: BLE001 - supervision point: it was to end by itself, whatever happened in it
            error = internal_error(group, f"turn {turn.turn_id}")
            if turn.outcome is None:
                turn.end(error)
            if turn.stored:
                fail = self._services.database.turns.fail
                await supervised(f"ending turn {turn.turn_id}", fail, turn.turn_id, error.message)
        finally:
            self._close(turn)
        outcome = turn.outcome
        if isinstance(outcome, ShuttingDown):
            return
        reason = outcome.finish_reason if isinstance(outcome, TurnResult) else "failed"
        hub.publish("turns", "completed", finish_reason=reason, **facts)

    def _close(self, turn: TurnState) -> None:
        self._running.pop(turn.turn_id, None)
        self._services.approvals.withdraw(turn.turn_id)
        for waited_for in turn.answers.values():
            # It ended before it came to the call.
            if isinstance(waited_for, TurnState):
                waited_for.cancel()
        if self._sessions.get(turn.session_id) == turn.turn_id:
            del self._sessions[turn.session_id]
        if not turn.stored:
            self._ended[turn.turn_id] = turn
            while len(self._ended) > _REMEMBERED:
                self._ended.popitem(last=False)
        if not self._running:
            self._all_ended.unpark_all()
