"""The earlier turns of a session as a summary: the page that has one written, and that takes it back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from agentgw.protocol.calls.sessions import SessionCompactParams, SessionIdParams
from agentgw.protocol.records.schema import bind
from agentgw_daemon.gateway.pages.chat.markdown import html_of
from agentgw_daemon.gateway.pages.rendering.templates import fragment, page
from agentgw_daemon.gateway.routing.routes import Route

if TYPE_CHECKING:
    from agentgw_daemon.gateway.http.messages import HttpAnswer
    from agentgw_daemon.gateway.routing.exchange import Exchange


async def compact(exchange: Exchange) -> HttpAnswer:
    """Has all turns but the last one summed up, and shows the summary."""
    made = await exchange.call("session.compact", bind(SessionCompactParams, _session_of(exchange)))
    # In the thread that makes the page.
    summary = partial(html_of, made.summary or "", {})
    return await _shown(exchange, made.session_id, made=made, summary=summary)


async def expand(exchange: Exchange) -> HttpAnswer:
    """Takes the last summary back."""
    left = await exchange.call("session.expand", bind(SessionIdParams, _session_of(exchange)))
    return await _shown(exchange, left.session_id, made=None, left=left.turns)


async def _shown(exchange: Exchange, session_id: str, **values: Any) -> HttpAnswer:
    if exchange.is_fragment:
        return await fragment(exchange, "summary.html", **values)
    return await page(exchange, "summary_page.html", session_id=session_id, **values)


def _session_of(exchange: Exchange) -> dict[str, Any]:
    return {"session_id": exchange.path_values["session_id"]}


SUMMARIES: Final = (
    Route(
        method="POST", path="/session/{session_id}/compact", page=True, body="form", respond=compact,
        doc="Has its turns but the last one summed up; the model is shown the summary from then on.",
    ),
    Route(
        method="POST", path="/session/{session_id}/expand", page=True, body="form", respond=expand,
        doc="Takes the last summary back.",
    ),
)  # fmt: skip
