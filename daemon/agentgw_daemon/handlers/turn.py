"""`turn.*`: start, watch, cancel, list, show, run again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agentgw.errors import NotFound, RpcError
from agentgw.params import TurnAttachParams, TurnIdParams, TurnListParams, TurnReplayParams, TurnStartParams
from agentgw.results import Done, ReplayResult, TurnDetail, TurnList, TurnResult
from agentgw.types import Turn
from agentgw_daemon.live import LiveTurn
from agentgw_daemon.replay.run import replay as run_again

if TYPE_CHECKING:
    from agentgw_daemon.dispatch import Handler
    from agentgw_daemon.requests import Request
    from agentgw_daemon.services import Services


async def start(request: Request, params: TurnStartParams) -> TurnResult:
    """Run a turn for this connection: its events as notifications, then its result."""
    turns = request.services.turns
    if params.dry_run:
        return await turns.dry_run(params)
    started = await turns.start(params)
    if isinstance(started, Turn):
        return await _replay(request, started, 1)
    if params.detach:
        return TurnResult(turn_id=started.turn_id, session_id=started.session_id)
    started.own()
    try:
        return await _watch(request, started, 1, owner=True)
    finally:
        started.disown()


async def attach(request: Request, params: TurnAttachParams) -> TurnResult:
    """Watch a turn without owning it: leaving changes nothing for the turn."""
    services = request.services
    live = services.turns.find(params.turn_id)
    if live is not None:
        return await _watch(request, live, params.from_seq)
    stored = await _stored(services, params.turn_id)
    if live := services.turns.find(stored.turn_id):
        return await _watch(request, live, params.from_seq)
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


async def _watch(request: Request, live: LiveTurn, from_seq: int, *, owner: bool = False) -> TurnResult:
    async for frames in live.watch(from_seq, owner=owner):
        await request.outbox.put(frames)
    outcome = await live.wait_outcome()
    if isinstance(outcome, RpcError):
        raise outcome
    return outcome


async def _replay(request: Request, stored: Turn, from_seq: int) -> TurnResult:
    turns = request.services.turns
    async for frames in turns.replay(stored, from_seq):
        await request.outbox.put(frames)
    return await turns.stored_outcome(stored)


async def cancel(request: Request, params: TurnIdParams) -> Done:
    """End a running turn; answered when the turn has stored its end."""
    live = request.services.turns.cancel(params.turn_id)
    await live.wait_outcome()
    return Done()


async def list_turns(request: Request, params: TurnListParams) -> TurnList:
    """Stored turns, newest first."""
    return await request.services.database.turns.list(
        session_id=params.session_id, running=params.running, limit=params.limit, before=params.before
    )


async def show(request: Request, params: TurnIdParams) -> TurnDetail:
    """One stored turn in full."""
    return await request.services.database.turns.detail(params.turn_id)


async def replay(request: Request, params: TurnReplayParams) -> ReplayResult:
    """Run a stored turn again, for comparison only; ends when the client leaves."""
    stored = await _stored(request.services, params.turn_id)
    return await run_again(request.services, replace(params, turn_id=stored.turn_id), request.notify)


HANDLERS: dict[str, Handler] = {
    "turn.start": start,
    "turn.cancel": cancel,
    "turn.attach": attach,
    "turn.list": list_turns,
    "turn.show": show,
    "turn.replay": replay,
}
