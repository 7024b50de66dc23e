"""The gateway of a daemon, put together: what `app` opens when HTTP is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentgw_daemon.gateway.api.calls import API
from agentgw_daemon.gateway.api.description import description
from agentgw_daemon.gateway.api.metrics import METRICS
from agentgw_daemon.gateway.api.rpc import RPC
from agentgw_daemon.gateway.gateway import Gateway
from agentgw_daemon.gateway.pages.answering import ANSWERING
from agentgw_daemon.gateway.pages.chat.sessions import CHAT
from agentgw_daemon.gateway.pages.chat.summaries import SUMMARIES
from agentgw_daemon.gateway.pages.home import HOME
from agentgw_daemon.gateway.pages.management.approvals import APPROVALS
from agentgw_daemon.gateway.pages.management.documents import DOCUMENTS
from agentgw_daemon.gateway.pages.management.jobs import JOBS
from agentgw_daemon.gateway.pages.management.models import MODELS
from agentgw_daemon.gateway.pages.management.status import STATUS
from agentgw_daemon.gateway.pages.rendering.assets import ASSETS
from agentgw_daemon.gateway.pages.sign_in import SIGN_IN
from agentgw_daemon.gateway.routing.routes import RouteTable
from agentgw_daemon.server.handlers import HANDLERS

if TYPE_CHECKING:
    import trio

    from agentgw_daemon.gateway.doors import Doors
    from agentgw_daemon.server.daemon import Daemon

PAGES: Final = (
    *HOME, *CHAT, *SUMMARIES, *DOCUMENTS, *JOBS, *APPROVALS, *MODELS, *STATUS, *ANSWERING, *SIGN_IN, *ASSETS,
)  # fmt: skip
# A dialect of another service is one more table here.
PROGRAMS: Final = RouteTable(API, RPC, METRICS)
ROUTES: Final = RouteTable(PROGRAMS.routes, description(PROGRAMS), PAGES)


async def open_gateway(daemon: Daemon, doors: Doors, nursery: trio.Nursery) -> Gateway:
    """Serve all doors in this nursery. Returns when each accepts."""
    gateway = Gateway(daemon, HANDLERS, ROUTES, doors.sign_ins, nursery)
    gateway.prepare()
    for door in doors.open:
        await gateway.open(door)
        if door.door.name == "unix":
            gateway.guard(doors.name, door.door)
    return gateway
