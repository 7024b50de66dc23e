"""`event.subscribe`: the daemon's events, sent to one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.protocol.calls.events import SubscribeParams
from agentgw.protocol.calls.shared import Done

if TYPE_CHECKING:
    from agentgw_daemon.server.calls.request import Handler, RequestContext


async def subscribe(request: RequestContext, params: SubscribeParams) -> Done:
    """Sends events until the connection ends."""
    request.subscribe(params.topics)
    return Done()


HANDLERS: dict[str, Handler] = {"event.subscribe": subscribe}
