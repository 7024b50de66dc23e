"""Routes of the API: the calls of the socket under paths, with the names that the predecessor gave to fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentgw.protocol.calls.jobs import ScheduledJob
from agentgw.protocol.calls.shared import NoParams
from agentgw.protocol.calls.turns import TurnAttachParams, TurnStartParams
from agentgw.protocol.errors import InvalidParams
from agentgw.protocol.records.schema import bind, dump
from agentgw_daemon.gateway.access.admission import KEYLESS_PATH
from agentgw_daemon.gateway.api.upload import received
from agentgw_daemon.gateway.http.event_stream import ServerSentEvents
from agentgw_daemon.gateway.http.messages import HttpAnswer, is_json, json_answer
from agentgw_daemon.gateway.routing.routes import Route

if TYPE_CHECKING:
    from agentgw_daemon.gateway.routing.exchange import Exchange

_SKILL: Final = {"skill_name": "skill"}
# The predecessor's name for a text that had none.
_UNNAMED: Final = "web_upload"


async def answer_call(exchange: Exchange) -> HttpAnswer:
    """The result of the route's method."""
    return json_answer(dump(await exchange.call(exchange.route.calls, await exchange.params())))


async def health(exchange: Exchange) -> HttpAnswer:
    """Answer that is always the same, because it is for everybody."""
    return json_answer({"status": "ok"})


async def daemon_status(exchange: Exchange) -> HttpAnswer:
    """`daemon.status` with the predecessor's fields beside ours."""
    status = dump(await exchange.call("daemon.status", NoParams()))
    found = await exchange.call("job.list", NoParams())
    service = status["service"]
    service |= {"llm_provider": service["provider"], "llm_model": service["model"]}
    status["scheduler"]["jobs"] = [_as_before(job) for job in found.jobs]
    return json_answer({"status": "running", **status})


def _as_before(job: ScheduledJob) -> dict[str, Any]:
    """A job by the predecessor's names, where `cron` was all that a schedule could be."""
    return {
        "name": job.name,
        "skill": job.skill or "",
        "cron": job.schedule,
        "enabled": job.enabled,
        "next": job.next_at,
    }


async def chat(exchange: Exchange) -> HttpAnswer | None:
    """A turn as a stream: a new one, or with `turn_id` one that runs or has run."""
    values = await exchange.values()
    after = exchange.last_event_id()
    if not _popped(values, "stream", default=True):
        params = bind(TurnStartParams, values)
        with exchange.gateway.answering():
            return json_answer(dump(await exchange.call("turn.start", params)))
    if "turn_id" in values:
        await exchange.stream(
            "turn.attach", bind(TurnAttachParams, {"from_seq": after + 1, **values}), _events(exchange)
        )
        return None
    params = bind(TurnStartParams, values)
    if params.detach:
        started = await exchange.call("turn.start", params)
        await exchange.stream(
            "turn.attach", TurnAttachParams(turn_id=started.turn_id, from_seq=after + 1), _events(exchange)
        )
    else:
        await exchange.stream("turn.start", params, _events(exchange, after))
    return None


def _events(exchange: Exchange, after: int = 0) -> ServerSentEvents:
    return ServerSentEvents(exchange.gateway.batch_bytes, after)


async def turn_events(exchange: Exchange) -> None:
    """A turn's events after the last one that was seen."""
    values = await exchange.values()
    values.setdefault("from_seq", exchange.last_event_id() + 1)
    await exchange.stream("turn.attach", bind(TurnAttachParams, values), _events(exchange))


async def ingest(exchange: Exchange) -> HttpAnswer:
    """Documents by their paths on the daemon's machine, one text, or one document sent as it is."""
    if not is_json(exchange.request):
        values = exchange.head_values()
        async with received(exchange, values.get("source")) as path:
            return await _ingested(exchange, {**values, "paths": [path]})
    values = await exchange.values()
    if "text" in values:
        values.setdefault("source", _UNNAMED)
    return await _ingested(exchange, values)


async def _ingested(exchange: Exchange, values: dict[str, Any]) -> HttpAnswer:
    return json_answer(dump(await exchange.call(exchange.route.calls, exchange.bound(values))))


def _popped(values: dict[str, Any], name: str, *, default: bool) -> bool:
    """Takes a yes or no out of the fields, which is no field of the method."""
    value = values.pop(name, default)
    if not isinstance(value, bool):
        raise InvalidParams(f"Invalid params: {name} must be true or false", path=name, reason="must be true or false")
    return value


API: Final = (
    Route(method="GET", path=KEYLESS_PATH, doc="Whether it serves; asks for no key.", respond=health),
    Route(
        method="GET", path="/daemon/status", calls="daemon.status", respond=daemon_status,
        doc='What runs, in numbers, with `"status": "running"`, `service.llm_provider` and `service.llm_model`.',
    ),
    Route(
        method="POST", path="/api/run", calls="turn.start", names=_SKILL, body="json", respond=answer_call,
        doc="Answer a message; the whole result at its end.",
    ),
    Route(
        method="POST", path="/api/chat", calls="turn.start", names=_SKILL, body="json", respond=chat, streams=True,
        doc="Answer a message as an event stream. `turn_id` in place of `message` watches a turn; `\"stream\": false`"
        " gives the result alone; events up to `Last-Event-ID` are left out.",
    ),
    Route(
        method="GET", path="/api/turns/{turn_id}/events", calls="turn.attach", respond=turn_events, streams=True,
        doc="A turn's events from `from_seq`, or after `Last-Event-ID`, then its result.",
    ),
    Route(
        method="POST", path="/api/turns/{turn_id}/cancel", calls="turn.cancel", body="json", respond=answer_call,
        doc="End a running turn.",
    ),
    Route(
        method="POST", path="/api/route", calls="skill.route", names={"skill_name": "", "session_id": ""}, body="json",
        respond=answer_call, doc="Rank the skills for a message.",
    ),
    Route(
        method="POST", path="/api/ingest", calls="document.ingest", names={"path": "paths"}, body="upload",
        respond=ingest, doc="Store documents by their paths here, or a `text` under the name `source`; or the body"
        " itself, as application/octet-stream with `source` and the rest in the query.",
    ),
    Route(method="GET", path="/api/documents", calls="document.list", respond=answer_call, doc="Documents."),
    Route(
        method="DELETE", path="/api/documents", calls="document.delete", names={"source": "sources", "id": "ids"},
        respond=answer_call, doc="Remove documents; the query or a JSON body names them.",
    ),
    Route(
        method="GET", path="/api/search", calls="document.search", names={"q": "query", "top_k": "k", "limit": "k"},
        respond=answer_call, doc="Find chunks of documents.",
    ),
    Route(method="GET", path="/api/feedback", calls="feedback.list", respond=answer_call, doc="Ratings."),
    Route(
        method="POST", path="/api/feedback", calls="feedback.add", names={"session_id": "turn_id"}, body="json",
        respond=answer_call, doc="Rate a turn, or with `session_id` a session's last one.",
    ),
    Route(method="GET", path="/api/skills", calls="skill.list", respond=answer_call, doc="Skills."),
    Route(method="GET", path="/api/sessions", calls="session.list", respond=answer_call, doc="Stored sessions."),
    Route(
        method="GET", path="/api/sessions/{session_id}/messages", calls="session.messages", respond=answer_call,
        doc="Messages of a session.",
    ),
    Route(method="GET", path="/api/config", calls="config.get", respond=answer_call, doc="Settings, keys as stars."),
    Route(method="GET", path="/api/tools", calls="tool.list", respond=answer_call, doc="Tools."),
    Route(
        method="POST", path="/api/tools/{name}/execute", calls="tool.call", body="json", respond=answer_call,
        names={"name": "tool", "parameters": "arguments"},
        doc="Call a tool; what asks on a terminal asks here too, through the approvals.",
    ),
    Route(method="GET", path="/api/approvals", calls="approval.list", respond=answer_call, doc="Calls that wait."),
    Route(
        method="POST", path="/api/approvals/{approval_id}", calls="approval.answer", body="json", respond=answer_call,
        doc="Answer one.",
    ),
    Route(method="GET", path="/api/jobs", calls="job.list", respond=answer_call, doc="Scheduled jobs."),
    Route(method="GET", path="/api/stats", calls="stats.get", respond=answer_call, doc="Counts."),
)  # fmt: skip
