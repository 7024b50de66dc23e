"""`event.subscribe`: what happens in the daemon, to one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.params import SubscribeParams
from agentgw.results import Done

if TYPE_CHECKING:
    from agentgw_daemon.dispatch import Handler
    from agentgw_daemon.requests import Request


async def subscribe(request: Request, params: SubscribeParams) -> Done:
    """From now on until the connection ends."""
    request.subscribe(params.topics)
    return Done()


HANDLERS: dict[str, Handler] = {"event.subscribe": subscribe}
