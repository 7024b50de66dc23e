"""Scheduled jobs as a page: when each runs next, why it waits, its runs, and the button that runs it now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from agentgw.protocol.calls.jobs import JobHistoryParams, JobNameParams, JobRunParams
from agentgw.protocol.calls.shared import NoParams
from agentgw.protocol.calls.turns import TurnIdParams
from agentgw.protocol.errors import InvalidParams
from agentgw.protocol.records.schema import bind
from agentgw_daemon.gateway.pages.query import place_of, query_of
from agentgw_daemon.gateway.pages.rendering.templates import fragment, moved, page
from agentgw_daemon.gateway.routing.routes import Route

if TYPE_CHECKING:
    from agentgw_daemon.gateway.http.messages import HttpAnswer
    from agentgw_daemon.gateway.routing.exchange import Exchange

_PATH: Final = "/jobs"
_SHOWN_RUNS: Final = 20
# A page of more would be long to make, and it is made anew every few seconds.
_SHOWN_JOBS: Final = 50
_SWITCHES: Final = {"on": "job.enable", "off": "job.disable"}


async def jobs(exchange: Exchange) -> HttpAnswer:
    """The page, or its changing part for the page that looks again."""
    name, before = query_of(exchange, "job"), query_of(exchange, "before")
    values: dict[str, Any] = {"limit": _SHOWN_RUNS, "name": name or None, "before": before or None}
    history = await exchange.call("job.history", bind(JobHistoryParams, values))
    listed = await exchange.call("job.list", NoParams())
    first = place_of(exchange, "from")
    shown = {
        "listed": listed, "jobs": listed.jobs[first : first + _SHOWN_JOBS], "first": first, "most": _SHOWN_JOBS,
        "runs": history.runs, "next": history.next, "job": name, "before": before,
    }  # fmt: skip
    if exchange.is_fragment:
        return await fragment(exchange, "jobs_now.html", **shown)
    return await page(exchange, "jobs.html", **shown)


async def run_job(exchange: Exchange) -> HttpAnswer:
    """Runs a job now, without waiting for its answer."""
    await exchange.call("job.run", bind(JobRunParams, {"name": exchange.fields.get("job", "")}))
    return moved(exchange, _PATH)


async def switch_job(exchange: Exchange) -> HttpAnswer:
    """Switches a job on or off, in the file."""
    method = _SWITCHES.get(exchange.fields.get("to", ""))
    if method is None:
        raise InvalidParams("a job is switched on or off", path="to", reason="must be on or off")
    await exchange.call(method, bind(JobNameParams, {"name": exchange.fields.get("job", "")}))
    return moved(exchange, _PATH)


async def turn(exchange: Exchange) -> HttpAnswer:
    """The session of a turn, at the turn."""
    detail = await exchange.call("turn.show", bind(TurnIdParams, {"turn_id": exchange.path_values["turn_id"]}))
    return moved(exchange, f"/session/{quote(detail.turn.session_id)}#{quote(detail.turn.turn_id)}")


JOBS: Final = (
    Route(
        method="GET", path=_PATH, page=True, respond=jobs,
        doc="Scheduled jobs from number `from` on, and runs: with `job` those of one, `before` a cursor.",
    ),
    Route(method="POST", path="/jobs/run", page=True, body="form", respond=run_job, doc="Runs the `job` now."),
    Route(
        method="POST", path="/jobs/switch", page=True, body="form", respond=switch_job,
        doc="Switches the `job` on or off: `to` is on or off.",
    ),
    Route(
        method="GET", path="/turn/{turn_id}", page=True, respond=turn,
        doc="The session that a turn belongs to, at the turn.",
    ),
)  # fmt: skip
