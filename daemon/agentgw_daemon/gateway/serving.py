"""The gateway of a daemon, put together: what `app` opens when HTTP is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentgw_daemon.gateway.api.calls import API
from agentgw_daemon.gateway.api.metrics import METRICS
from agentgw_daemon.gateway.api.pages import PAGES
from agentgw_daemon.gateway.gateway import Gateway
from agentgw_daemon.gateway.routing.routes import RouteTable
from agentgw_daemon.server.handlers import HANDLERS

if TYPE_CHECKING:
    import trio

    from agentgw_daemon.gateway.doors import Doors
    from agentgw_daemon.server.daemon import Daemon

# A dialect of another service is one more table here.
ROUTES: Final = RouteTable(API, METRICS, PAGES)


async def open_gateway(daemon: Daemon, doors: Doors, nursery: trio.Nursery) -> Gateway:
    """Serve all doors in this nursery. Returns when each accepts."""
    gateway = Gateway(daemon, HANDLERS, ROUTES)
    for door in doors.open:
        await gateway.open(door, nursery)
    daemon.services.current.http = doors.status
    return gateway
