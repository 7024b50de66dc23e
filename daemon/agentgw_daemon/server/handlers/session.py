"""`session.*`: stored conversations."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.calls.sessions import (
    ExportParams,
    ExportResult,
    ForkParams,
    MessageList,
    MessagesParams,
    RenameParams,
    SearchParams,
    SearchResult,
    SessionCompacted,
    SessionCompactParams,
    SessionExpanded,
    SessionIdParams,
    SessionList,
    SessionListParams,
)
from agentgw.protocol.calls.shared import Done
from agentgw.protocol.errors import InvalidParams, SessionBusy
from agentgw.protocol.types import Session, SessionId
from agentgw_daemon.server.handlers.turn import give_up
from agentgw_daemon.text.queries import check_query
from agentgw_daemon.turns.earlier.compacting import compact as sum_up
from agentgw_daemon.turns.earlier.compacting import expand as show_whole
from agentgw_daemon.workers.protocol.kv_files.state_folder import forget

if TYPE_CHECKING:
    from agentgw_daemon.server.calls.request import Handler, RequestContext
    from agentgw_daemon.server.daemon import Daemon

log = logging.getLogger(__name__)

# A session has one turn at a time, and those it delegated to are not many; more are new ones that keep coming.
_MOST_CANCELLED: Final = 64
# A disk that takes longer than this to remove files is not waited for; the thread goes on.
_FORGET_S: Final = 10.0


async def list_sessions(request: RequestContext, params: SessionListParams) -> SessionList:
    """Sessions, the latest first."""
    return await request.services.database.sessions.list(limit=params.limit, before=params.before, cwd=params.cwd)


async def get(request: RequestContext, params: SessionIdParams) -> Session:
    """One session."""
    return await request.services.database.sessions.get(params.session_id)


async def messages(request: RequestContext, params: MessagesParams) -> MessageList:
    """The messages of a session."""
    return await request.services.database.sessions.messages(
        params.session_id, limit=params.limit, before=params.before
    )


async def search(request: RequestContext, params: SearchParams) -> SearchResult:
    """Full-text search."""
    check_query(params.query)
    return SearchResult(messages=await request.services.database.sessions.search(params.query, limit=params.limit))


async def rename(request: RequestContext, params: RenameParams) -> Session:
    """A new title."""
    if not params.title.strip():
        raise InvalidParams("Invalid params: title is empty", path="title", reason="is empty")
    return await request.services.database.sessions.rename(params.session_id, params.title)


async def fork(request: RequestContext, params: ForkParams) -> Session:
    """A copy that goes its own way."""
    return await request.services.database.sessions.fork(params.session_id, at=params.at)


async def compact(request: RequestContext, params: SessionCompactParams) -> SessionCompacted:
    """The oldest turns summed up."""
    known = await request.services.database.sessions.get(params.session_id)
    request.daemon.turns.check_idle(SessionId(known.session_id))
    return await sum_up(request.services, params)


async def expand(request: RequestContext, params: SessionIdParams) -> SessionExpanded:
    """The last summary that was asked for taken back."""
    return await show_whole(request.services, params.session_id)


async def export(request: RequestContext, params: ExportParams) -> ExportResult:
    """The whole session as text."""
    return ExportResult(text=await request.services.database.sessions.export(params.session_id, format=params.format))


async def delete(request: RequestContext, params: SessionIdParams) -> Done:
    """Remove a session with those it delegated to, and their saved prefixes. Turns that wait are cancelled first."""
    services = request.services
    for session_id in await _delete(request.daemon, params.session_id):
        await _forget(Path(services.started.paths.kv_dir), session_id)
    return Done()


async def _delete(daemon: Daemon, session_id: str) -> tuple[str, ...]:
    """The ids of what was removed. Raises SessionBusy while a turn of it is at work."""
    for _ in range(_MOST_CANCELLED):
        try:
            return await daemon.services.database.sessions.delete(session_id)
        except SessionBusy as busy:
            turn_id = busy.data["turn_id"]
            turn = daemon.turns.find(turn_id)
            if turn is None:
                await give_up(daemon.services, await daemon.services.database.turns.get(turn_id))
            elif turn.resumed or turn_id in daemon.turns.waiting():
                turn.cancel()
                await turn.wait_outcome()
            else:
                raise
    return await daemon.services.database.sessions.delete(session_id)


async def _forget(kv_dir: Path, session_id: str) -> None:
    # Shielded, for the session is gone by now: nobody could ask for this again.
    with trio.move_on_after(_FORGET_S, shield=True):
        try:
            await trio.to_thread.run_sync(forget, kv_dir, session_id, abandon_on_cancel=True)
        except OSError as error:
            log.error("session %s: its files in %s were not removed: %s", session_id, kv_dir, error.strerror)


HANDLERS: dict[str, Handler] = {
    "session.list": list_sessions,
    "session.get": get,
    "session.messages": messages,
    "session.search": search,
    "session.rename": rename,
    "session.fork": fork,
    "session.compact": compact,
    "session.expand": expand,
    "session.export": export,
    "session.delete": delete,
}
