"""`turn.*`: start, watch, cancel, list, show, run again."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from agentgw.protocol.calls.shared import Done
from agentgw.protocol.calls.turns import (
    PrefillResult,
    ReplayResult,
    TurnAttachParams,
    TurnDetail,
    TurnIdParams,
    TurnList,
    TurnListParams,
    TurnParts,
    TurnReplayParams,
    TurnResult,
    TurnStartParams,
    TurnSteerParams,
)
from agentgw.protocol.errors import InvalidParams, NotFound, RpcError
from agentgw.protocol.events import TurnDelta
from agentgw.protocol.types import Turn, TurnId
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.skills.routing import AUTO
from agentgw_daemon.storage.rows import LIVE_STATES
from agentgw_daemon.turns.preview.parts import parts_of_stored
from agentgw_daemon.turns.replay.run import replay as run_again

if TYPE_CHECKING:
    from agentgw_daemon.server.calls.request import Handler, RequestContext
    from agentgw_daemon.services import Services


async def start(request: RequestContext, params: TurnStartParams) -> TurnResult:
    """Run a turn for this connection: its events as notifications, then its result."""
    if not (params.message.strip() or params.files):
        raise InvalidParams("there is no message", path="message", reason="is empty")
    turns = request.daemon.turns
    if params.dry_run:
        return await turns.dry_run(params)
    started = await turns.start(params)
    if isinstance(started, Turn):
        return await _replay(request, started, 1)
    if params.detach:
        return TurnResult(turn_id=started.turn_id, session_id=started.session_id)
    started.own()
    try:
        return await _watch(request, started, 1, owner=True, deltas=not params.whole)
    finally:
        started.disown()


async def prefill(request: RequestContext, params: TurnStartParams) -> PrefillResult:
    """Compute a prompt beforehand; leaving cancels it."""
    turns, services = request.daemon.turns, request.services
    default = services.settings.agent.default_skill
    if params.session_id is None and params.skill is None and default == AUTO:
        return PrefillResult(model=params.model or "", reason="the whole message chooses the skill")
    if params.session_id is not None and turns.find(params.session_id) is not None:
        return PrefillResult(model=params.model or "", reason="a turn of the session runs")
    return await turns.prefill(params)


async def attach(request: RequestContext, params: TurnAttachParams) -> TurnResult:
    """Watch a turn without owning it: leaving changes nothing for the turn."""
    services = request.services
    turn = request.daemon.turns.find(params.turn_id)
    if turn is not None:
        return await _watch(request, turn, params.from_seq)
    stored = await _stored(services, params.turn_id)
    if turn := request.daemon.turns.find(stored.turn_id):
        return await _watch(request, turn, params.from_seq)
    return await _replay(request, stored, params.from_seq)


async def _stored(services: Services, name: str) -> Turn:
    """The turn of this id, or the latest of this session."""
    if not name.startswith("s-"):
        return await services.database.turns.get(name)
    session = await services.database.sessions.get(name)
    stored = await services.database.turns.latest(session.session_id)
    if stored is None:
        raise NotFound(f"session {name} has no turns yet", kind="turn", id=name)
    return stored


async def _watch(
    request: RequestContext, turn: TurnState, from_seq: int, *, owner: bool = False, deltas: bool = True
) -> TurnResult:
    async with aclosing(turn.log.watch(from_seq, owner=owner)) as batches:
        async for seq, events in batches:
            if deltas:
                await request.events.show(turn.turn_id, turn.session_id, seq, events)
                continue
            for number, event in enumerate(events, seq):
                if not isinstance(event, TurnDelta):
                    await request.events.show(turn.turn_id, turn.session_id, number, [event])
    outcome = await turn.wait_outcome()
    if isinstance(outcome, RpcError):
        raise outcome
    return outcome


async def _replay(request: RequestContext, stored: Turn, from_seq: int) -> TurnResult:
    turns = request.daemon.turns
    async for events in turns.replay(stored, from_seq):
        await request.events.show_stored(stored.turn_id, stored.session_id, events)
    return await turns.stored_outcome(stored)


async def cancel(request: RequestContext, params: TurnIdParams) -> Done:
    """End a running turn; answered when the turn has stored its end. The beginning of an id is enough."""
    services = request.services
    turn = request.daemon.turns.find(params.turn_id)
    if turn is None:
        stored = await _stored(services, params.turn_id)
        turn = request.daemon.turns.find(stored.turn_id)
        if turn is None:
            await give_up(services, stored)
            return Done()
    await request.daemon.turns.cancel(turn.turn_id).wait_outcome()
    return Done()


async def steer(request: RequestContext, params: TurnSteerParams) -> Done:
    """Add to the message of a running turn. The beginning of an id is enough."""
    turns = request.daemon.turns
    turn_id = params.turn_id
    if turns.find(turn_id) is None:
        turn_id = (await _stored(request.services, turn_id)).turn_id
    turns.steer(turn_id, params.text)
    return Done()


async def give_up(services: Services, stored: Turn) -> None:
    """End a turn that is on record as running and that nobody runs: its end could not be stored. Raises NotFound."""
    if stored.state not in LIVE_STATES:
        how = "was cut off" if stored.state == "interrupted" else f"has ended ({stored.state})"
        raise NotFound(
            f"turn {stored.turn_id} does not run: it {how}", hint="`agentgw turns` lists those that do", kind="turn",
            id=stored.turn_id,
        )  # fmt: skip
    await services.database.unfinished.give_up(stored.turn_id, "it was cancelled, after its end could not be stored")


async def list_turns(request: RequestContext, params: TurnListParams) -> TurnList:
    """Stored turns, newest first; before them those that run and are not stored."""
    turns = request.daemon.turns
    page = await request.services.database.turns.list(
        session_id=params.session_id, running=params.running, limit=params.limit, before=params.before
    )
    running = {turn_state.turn_id: turn_state for turn_state in turns.running}
    shown = [_with_detached(turn, running.get(TurnId(turn.turn_id))) for turn in page.turns]
    if params.running and params.before is None:
        unstored = (turn_state for turn_state in running.values() if not turn_state.stored)
        wanted = (turn_state for turn_state in unstored if params.session_id in (None, turn_state.session_id))
        shown = [*map(_as_turn, wanted), *shown]
    return replace(page, turns=tuple(shown))


def _with_detached(turn: Turn, turn_state: TurnState | None) -> Turn:
    return replace(turn, detached=_detached(turn_state))


def _detached(turn: TurnState | None) -> bool | None:
    return True if turn is not None and turn.detached and turn.outcome is None else None


def _as_turn(turn: TurnState) -> Turn:
    return Turn(
        turn_id=turn.turn_id, session_id=turn.session_id, skill=turn.skill, model=turn.model, state="running",
        created_at=turn.created_at, last_seq=turn.log.last_seq, detached=_detached(turn),
    )  # fmt: skip


async def show(request: RequestContext, params: TurnIdParams) -> TurnDetail:
    """One stored turn in full."""
    detail = await request.services.database.turns.detail(params.turn_id)
    return replace(detail, turn=_with_detached(detail.turn, request.daemon.turns.find(detail.turn.turn_id)))


async def parts(request: RequestContext, params: TurnIdParams) -> TurnParts:
    """The parts of a stored turn's first prompt."""
    return await parts_of_stored(request.services, await request.services.database.turns.detail(params.turn_id))


async def replay(request: RequestContext, params: TurnReplayParams) -> ReplayResult:
    """Run a stored turn again, for comparison only; ends when the client leaves."""
    stored = await _stored(request.services, params.turn_id)
    return await run_again(request.services, replace(params, turn_id=stored.turn_id), request.events.notify)


HANDLERS: dict[str, Handler] = {
    "turn.start": start,
    "turn.cancel": cancel,
    "turn.prefill": prefill,
    "turn.steer": steer,
    "turn.attach": attach,
    "turn.list": list_turns,
    "turn.show": show,
    "turn.parts": parts,
    "turn.replay": replay,
}
