"""Sessions as pages: what was said and answered, the turn that runs, and what can be done about each of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from agentgw.protocol.calls.feedback import FeedbackAddParams
from agentgw.protocol.calls.sessions import ForkParams, SessionIdParams
from agentgw.protocol.calls.shared import NoParams
from agentgw.protocol.calls.skills import SkillNameParams
from agentgw.protocol.calls.turns import TurnAttachParams, TurnIdParams, TurnSteerParams
from agentgw.protocol.errors import InvalidParams, NotFound
from agentgw.protocol.records.schema import bind
from agentgw_daemon.gateway.http.messages import HttpAnswer
from agentgw_daemon.gateway.pages.chat.beginning import begin_turn
from agentgw_daemon.gateway.pages.chat.history import running_turn, turn_before, turns_after, turns_before
from agentgw_daemon.gateway.pages.chat.live import LivePage, seen_of
from agentgw_daemon.gateway.pages.chat.live_stream import LiveStream
from agentgw_daemon.gateway.pages.query import query_of
from agentgw_daemon.gateway.pages.rendering.templates import fragment, moved, page
from agentgw_daemon.gateway.routing.routes import Route

if TYPE_CHECKING:
    from agentgw.protocol.types import Session
    from agentgw_daemon.gateway.routing.exchange import Exchange

_NOTHING_NEW: Final = HttpAnswer(status=204)


async def new_chat(exchange: Exchange) -> HttpAnswer:
    """An empty session with a skill."""
    detail = await exchange.call("skill.get", bind(SkillNameParams, {"name": exchange.path_values["skill"]}))
    models = (await exchange.call("model.list", NoParams())).models
    usable = [model for model in models if model.state != "not_pulled" and not model.embedder]
    return await page(exchange, "new_chat.html", skill=detail.skill, models=usable)


async def begin_chat(exchange: Exchange) -> HttpAnswer:
    """The first message of a session."""
    model = exchange.fields.get("model") or None
    values = {"message": _message(exchange), "skill": exchange.path_values["skill"], "model": model}
    return _session_page(exchange, (await begin_turn(exchange, exchange.turn_params(values))).session_id)


async def session_page(exchange: Exchange) -> HttpAnswer:
    """A session with its latest turns."""
    session = await _session(exchange)
    shown = await turns_before(exchange, session.session_id, query_of(exchange, "before") or None)
    return await page(exchange, "session.html", session=session, **shown)


async def earlier(exchange: Exchange) -> HttpAnswer:
    """The turns before those that a page shows."""
    session = await _session(exchange)
    before = query_of(exchange, "before") or None
    if not exchange.is_fragment:
        return moved(exchange, f"/session/{quote(session.session_id)}?before={quote(before or '')}")
    shown = await turns_before(exchange, session.session_id, before)
    return await fragment(exchange, "turns.html", session=session, **shown)


async def news(exchange: Exchange) -> HttpAnswer:
    """Turns that were begun since the one that the page has last, wherever that was."""
    session = await _session(exchange)
    after = query_of(exchange, "after")
    fresh = await turns_after(exchange, session.session_id, after)
    if not fresh["turns"]:
        return _NOTHING_NEW
    return await fragment(exchange, "news.html", session=session, **fresh)


async def send(exchange: Exchange) -> HttpAnswer:
    """The next message; while a turn runs it is added to that one."""
    session, message = await _session(exchange), _message(exchange)
    running = await running_turn(exchange, session.session_id)
    if running is not None:
        await exchange.call("turn.steer", bind(TurnSteerParams, {"turn_id": running.turn_id, "text": message}))
    else:
        await begin_turn(exchange, exchange.turn_params({"message": message, "session_id": session.session_id}))
    if exchange.is_fragment:
        return HttpAnswer(status=204, headers=(("hx-trigger", "look"),))
    return _session_page(exchange, session.session_id)


async def live(exchange: Exchange) -> None:
    """A turn as it runs, from where the page was cut off."""
    turn = await exchange.call("turn.show", _turn_id(exchange))
    page_of = LivePage(turn.turn.turn_id, seen=seen_of(exchange.request.one("last-event-id")))
    await exchange.stream("turn.attach", TurnAttachParams(turn_id=turn.turn.turn_id), LiveStream(page_of))


async def stop(exchange: Exchange) -> HttpAnswer:
    """Ends a running turn."""
    # If not, it has come to its end by itself, which is what was wanted.
    with suppress(NotFound):
        await exchange.call("turn.cancel", _turn_id(exchange))
    return await _turns_page(exchange)


async def rate(exchange: Exchange) -> HttpAnswer:
    """A good or a bad mark."""
    turn_id, text = exchange.path_values["turn_id"], exchange.fields.get("rating", "")
    if text not in ("1", "-1"):
        raise InvalidParams("the rating must be 1 or -1", path="rating", reason="must be 1 or -1")
    await exchange.call("feedback.add", bind(FeedbackAddParams, {"turn_id": turn_id, "rating": int(text)}))
    if not exchange.is_fragment:
        return await _turns_page(exchange)
    return await fragment(exchange, "rating.html", turn_id=turn_id, rating=int(text))


async def again(exchange: Exchange) -> HttpAnswer:
    """The message of a turn once more, as it was or as it was edited, in a session that ends before it."""
    detail = await exchange.call("turn.show", _turn_id(exchange))
    message = exchange.fields.get("message", "").strip() or detail.message
    session = await exchange.call("session.get", SessionIdParams(session_id=detail.turn.session_id))
    before = await turn_before(exchange, detail.turn)
    values: dict[str, Any] = {"message": message}
    if before is None:
        values |= {"skill": detail.turn.skill, "cwd": session.cwd}
    else:
        fork = await exchange.call("session.fork", ForkParams(session_id=session.session_id, at=before))
        values |= {"session_id": fork.session_id}
    return _session_page(exchange, (await begin_turn(exchange, exchange.turn_params(values))).session_id)


async def fork(exchange: Exchange) -> HttpAnswer:
    """A copy of the session up to and with a turn."""
    detail = await exchange.call("turn.show", _turn_id(exchange))
    made = await exchange.call("session.fork", ForkParams(session_id=detail.turn.session_id, at=detail.turn.turn_id))
    return _session_page(exchange, made.session_id)


async def _session(exchange: Exchange) -> Session:
    values = {"session_id": exchange.path_values["session_id"]}
    session: Session = await exchange.call("session.get", bind(SessionIdParams, values))
    return session


def _turn_id(exchange: Exchange) -> TurnIdParams:
    return bind(TurnIdParams, {"turn_id": exchange.path_values["turn_id"]})


def _session_page(exchange: Exchange, session_id: str) -> HttpAnswer:
    return moved(exchange, f"/session/{quote(session_id)}")


async def _turns_page(exchange: Exchange) -> HttpAnswer:
    """A redirect to the page that shows a turn, for a browser without scripts."""
    if exchange.is_fragment:
        return HttpAnswer(status=204)
    detail = await exchange.call("turn.show", _turn_id(exchange))
    return _session_page(exchange, detail.turn.session_id)


def _message(exchange: Exchange) -> str:
    message = exchange.fields.get("message", "").strip()
    if not message:
        raise InvalidParams("there is no message", path="message", reason="empty")
    return message


CHAT: Final = (
    Route(method="GET", path="/chat/{skill}", page=True, respond=new_chat, doc="A new session with a skill."),
    Route(
        method="POST", path="/chat/{skill}", page=True, body="form", respond=begin_chat,
        doc="Begins it with `message`, and `model` if another one is to answer.",
    ),
    Route(method="GET", path="/session/{session_id}", page=True, respond=session_page, doc="A session."),
    Route(
        method="GET", path="/session/{session_id}/turns", page=True, respond=earlier,
        doc="The turns of it before the cursor `before`.",
    ),
    Route(
        method="GET", path="/session/{session_id}/news", page=True, respond=news,
        doc="The turns of it after the turn `after`.",
    ),
    Route(
        method="POST", path="/session/{session_id}", page=True, body="form", respond=send,
        doc="Goes on with `message`, or adds it to the turn that runs.",
    ),
    Route(
        method="GET", path="/turn/{turn_id}/live", page=True, streams=True, respond=live,
        doc="A turn as its page is told of it, after `Last-Event-ID`.",
    ),
    Route(method="POST", path="/turn/{turn_id}/stop", page=True, body="form", respond=stop, doc="Ends a running turn."),
    Route(
        method="POST", path="/turn/{turn_id}/rating", page=True, body="form", respond=rate,
        doc="Rates it: `rating` is 1 or -1.",
    ),
    Route(
        method="POST", path="/turn/{turn_id}/again", page=True, body="form", respond=again,
        doc="Its message once more, or the edited `message`, in a session that ends before it.",
    ),
    Route(
        method="POST", path="/turn/{turn_id}/fork", page=True, body="form", respond=fork,
        doc="A session that ends with it.",
    ),
)  # fmt: skip
