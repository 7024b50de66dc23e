"""The daemon's state as a page, with figures that its script draws as they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentgw.protocol.calls.shared import NoParams
from agentgw_daemon.gateway.http.messages import HttpAnswer, json_answer
from agentgw_daemon.gateway.pages.rendering.templates import page
from agentgw_daemon.gateway.routing.routes import Route

if TYPE_CHECKING:
    from agentgw.protocol.calls.daemon import DaemonStatus
    from agentgw_daemon.gateway.routing.exchange import Exchange


async def status(exchange: Exchange) -> HttpAnswer:
    """The page."""
    found = await exchange.call("daemon.status", NoParams())
    return await page(exchange, "status.html", daemon=found, figures=_figures(found))


async def figures(exchange: Exchange) -> HttpAnswer:
    """The latest point of each chart."""
    return json_answer(_figures(await exchange.call("daemon.status", NoParams())))


def _figures(found: DaemonStatus) -> dict[str, float]:
    # Of an idle worker the speed is that of its last answer, which is none now.
    return {
        "tokens": sum(worker.tokens_per_s for worker in found.workers if worker.busy),
        "queue": found.queue,
        "memory": found.rss_bytes + sum(worker.rss_bytes for worker in found.workers),
    }


STATUS: Final = (
    Route(method="GET", path="/status", page=True, respond=status, doc="The daemon's state with charts."),
    Route(method="GET", path="/status/figures", page=True, respond=figures, doc="What these go on with, as JSON."),
)  # fmt: skip
