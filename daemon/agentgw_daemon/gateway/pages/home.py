"""The first page: a box that finds the skill for a message, the skills, what runs, the sessions and their search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from agentgw.protocol.calls.sessions import SearchParams, SessionListParams
from agentgw.protocol.calls.skills import RouteParams, SkillListParams
from agentgw.protocol.calls.turns import TurnListParams
from agentgw.protocol.errors import InvalidParams
from agentgw.protocol.records.schema import bind
from agentgw_daemon.gateway.pages.chat.beginning import begin_turn
from agentgw_daemon.gateway.pages.query import query_of
from agentgw_daemon.gateway.pages.rendering.marking import marked
from agentgw_daemon.gateway.pages.rendering.templates import fragment, moved, page
from agentgw_daemon.gateway.routing.routes import Route

if TYPE_CHECKING:
    from agentgw_daemon.gateway.http.messages import HttpAnswer
    from agentgw_daemon.gateway.routing.exchange import Exchange

_SHOWN_SESSIONS: Final = 20
_MOST_QUERY_CHARS: Final = 200


async def home(exchange: Exchange) -> HttpAnswer:
    """The page."""
    skills = (await exchange.call("skill.list", SkillListParams())).skills
    running = (await exchange.call("turn.list", TurnListParams(running=True, limit=_SHOWN_SESSIONS))).turns
    return await page(exchange, "home.html", skills=skills, running=running, **await _sessions(exchange))


async def sessions(exchange: Exchange) -> HttpAnswer:
    """The list of sessions alone, or that of what a search finds."""
    if not exchange.is_fragment:
        return moved(exchange, f"/?q={quote(query_of(exchange, 'q'))}")
    return await fragment(exchange, "sessions.html", **await _sessions(exchange))


async def _sessions(exchange: Exchange) -> dict[str, Any]:
    query, before = query_of(exchange, "q")[:_MOST_QUERY_CHARS], query_of(exchange, "before") or None
    if query:
        found = await exchange.call("session.search", SearchParams(query=query, limit=_SHOWN_SESSIONS))
        return {"query": query, "hits": found.messages, "marked": marked, "sessions": (), "next": None}
    listed = await exchange.call("session.list", SessionListParams(limit=_SHOWN_SESSIONS, before=before))
    return {"query": "", "hits": (), "marked": marked, "sessions": listed.sessions, "next": listed.next}


async def ask(exchange: Exchange) -> HttpAnswer:
    """Begins a session with the skill that was chosen, or with the one that fits best."""
    message = exchange.fields.get("message", "").strip()
    if not message:
        raise InvalidParams("there is no message", path="message", reason="empty")
    skill = exchange.fields.get("skill") or None
    if skill is None:
        ranked = (await exchange.call("skill.route", bind(RouteParams, {"message": message}))).skills
        skill = ranked[0].name if ranked else None
    begun = await begin_turn(exchange, exchange.turn_params({"message": message, "skill": skill}))
    return moved(exchange, f"/session/{quote(begun.session_id)}")


HOME: Final = (
    Route(method="GET", path="/", page=True, respond=home, doc="Skills, sessions, and a box to begin one."),
    Route(
        method="GET", path="/sessions", page=True, respond=sessions,
        doc="The sessions, or those that a search `q` finds.",
    ),
    Route(method="POST", path="/ask", page=True, body="form", respond=ask, doc="Begins a session with `message`."),
)  # fmt: skip
