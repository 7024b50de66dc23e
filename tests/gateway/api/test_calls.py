"""Routes that do more than pass their method's result on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import trio

from agentgw.protocol.calls.jobs import JobList, ScheduledJob
from agentgw.protocol.calls.shared import Done
from agentgw.protocol.calls.turns import TurnAttachParams, TurnResult, TurnStartParams
from agentgw.protocol.errors import InternalError, NotFound
from agentgw.protocol.events import TurnCompleted, TurnDelta, TurnEvent, TurnStarted
from agentgw_daemon.gateway.routing import exchange as exchange_module
from agentgw_daemon.server.calls.request import Handler
from tests.gateway.harness import opened

pytestmark = pytest.mark.anyio

EVENTS: tuple[TurnEvent, ...] = (
    TurnStarted(skill="k", model="m"), TurnDelta(text="a"), TurnDelta(text="b"), TurnCompleted(finish_reason="stop"),
)  # fmt: skip


class Turn:
    """`turn.start` and `turn.attach` of one turn with four events, and what they were asked for."""

    def __init__(self, error: Exception | None = None, *, said: int = len(EVENTS)) -> None:
        self.started: list[TurnStartParams] = []
        self.attached: list[TurnAttachParams] = []
        self._error = error
        self._said = said

    def handlers(self) -> Mapping[str, Handler]:
        return {"turn.start": self.start, "turn.attach": self.attach}

    async def start(self, request: Any, params: TurnStartParams) -> TurnResult:
        self.started.append(params)
        if params.detach:
            return TurnResult(turn_id="t-1", session_id="s-1")
        return await self._say(request, 1)

    async def attach(self, request: Any, params: TurnAttachParams) -> TurnResult:
        self.attached.append(params)
        return await self._say(request, params.from_seq)

    async def _say(self, request: Any, from_seq: int) -> TurnResult:
        for seq, event in enumerate(EVENTS[: self._said], 1):
            if seq >= from_seq:
                await request.events.show("t-1", "s-1", seq, (event,))
        if self._error is not None:
            raise self._error
        return TurnResult(turn_id="t-1", session_id="s-1", text="ab", finish_reason="stop", last_seq=4)


def seen(body: bytes) -> list[str]:
    """Numbers and names of a stream's events, `1 turn.started` …"""
    made = []
    for block in body.decode().split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        made.append(" ".join(filter(None, (lines.get("id"), lines["event"]))))
    return made


WHOLE = ["1 turn.started", "2 turn.delta", "3 turn.delta", "4 turn.completed", "result"]


async def test_a_message_is_answered_by_the_names_of_the_predecessor() -> None:
    turn = Turn()
    async with opened(turn.handlers()) as made:
        reply = await made.client().ask("POST", "/api/run", value={"skill_name": "general_assistant", "message": "hi"})
    assert (reply.status, reply.json["text"]) == (200, "ab")
    assert turn.started == [TurnStartParams(message="hi", skill="general_assistant")]


async def test_a_chat_is_a_stream_of_numbered_events_that_ends_with_the_result() -> None:
    async with opened(Turn().handlers()) as made:
        reply = await made.client().ask("POST", "/api/chat", value={"message": "hi"})
    assert reply.headers["content-type"] == "text/event-stream"
    assert seen(reply.body) == WHOLE


async def test_a_chat_without_a_stream_is_its_result() -> None:
    async with opened(Turn().handlers()) as made:
        reply = await made.client().ask("POST", "/api/chat", value={"message": "hi", "stream": False})
        assert reply.json["text"] == "ab"
        wrong = await made.client().ask("POST", "/api/chat", value={"message": "hi", "stream": "no"})
        assert (wrong.status, wrong.error) == (400, "InvalidParams")


async def test_a_repeated_request_goes_on_after_the_last_event_that_was_seen() -> None:
    turn = Turn()
    async with opened(turn.handlers()) as made:
        value = {"message": "hi", "idempotency_key": "x"}
        reply = await made.client().ask("POST", "/api/chat", value=value, headers={"Last-Event-ID": "2"})
        assert seen(reply.body) == WHOLE[2:]
        value = {"turn_id": "t-1"}
        reply = await made.client().ask("POST", "/api/chat", value=value, headers={"Last-Event-ID": "3"})
        assert seen(reply.body) == WHOLE[3:]
        reply = await made.client().ask("GET", "/api/turns/t-1/events", headers={"Last-Event-ID": "4"})
        assert seen(reply.body) == WHOLE[4:]
        reply = await made.client().ask("GET", "/api/turns/t-1/events?from_seq=2")
        assert seen(reply.body) == WHOLE[1:]
    assert [params.from_seq for params in turn.attached] == [4, 5, 2]


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "٣", "9" * 20, "1 2"])
async def test_a_last_event_that_is_no_number_is_refused(number: str) -> None:
    async with opened(Turn().handlers()) as made:
        client = made.client()
        await client.stream.send_all(
            f"GET /api/turns/t/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: {number}\r\n\r\n".encode()
        )
        reply = await client.reply()
    assert (reply.status, reply.error) == (400, "InvalidParams")


async def test_a_chat_that_goes_on_without_its_client_is_started_and_then_watched() -> None:
    turn = Turn()
    async with opened(turn.handlers()) as made:
        reply = await made.client().ask("POST", "/api/chat", value={"message": "hi", "detach": True})
    assert seen(reply.body) == WHOLE
    assert (turn.started[0].detach, turn.attached) == (True, [TurnAttachParams(turn_id="t-1", from_seq=1)])


async def test_what_goes_wrong_before_the_first_event_has_a_status_of_its_own() -> None:
    async with opened(Turn(NotFound("no such skill"), said=0).handlers()) as made:
        reply = await made.client().ask("POST", "/api/chat", value={"message": "hi"})
    assert (reply.status, reply.error) == (404, "NotFound")


async def test_what_goes_wrong_later_is_the_last_event() -> None:
    async with opened(Turn(NotFound("gone"), said=2).handlers()) as made:
        reply = await made.client().ask("POST", "/api/chat", value={"message": "hi"})
    assert reply.status == 200
    assert seen(reply.body) == [*WHOLE[:2], "error"]
    assert b'"name":"NotFound","message":"gone"' in reply.body


async def test_a_bug_in_a_stream_is_an_error_with_an_id() -> None:
    async with opened(Turn(ZeroDivisionError("canary"), said=1).handlers()) as made:
        reply = await made.client().ask("POST", "/api/chat", value={"message": "hi"})
    assert seen(reply.body) == [WHOLE[0], "error"]
    assert InternalError.__name__.encode() in reply.body
    assert b"canary" not in reply.body


async def test_a_stream_without_events_shows_that_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "HEARTBEAT_S", 0.01)

    async def silent(request: Any, params: Any) -> Done:
        await trio.sleep_forever()
        return Done()

    async with opened({"turn.attach": silent}) as made:
        client = made.client()
        await client.send("GET", "/api/turns/t-1/events")
        said = await client.until(b": still here\n\n\r\n")
    assert b"200 OK" in said


async def test_status_has_the_fields_of_the_predecessor_beside_ours() -> None:
    status = {"service": {"provider": "local", "model": "m"}, "scheduler": {"enabled": True, "jobs": ["daily"]}}
    job = ScheduledJob(
        name="daily", schedule="0 9 * * *", message="m", enabled=True, state="scheduled", line=1, skill="k",
        next_at="2026-01-01T09:00:00Z",
    )  # fmt: skip

    def daemon_status(request: Any, params: Any) -> Any:
        return status

    def job_list(request: Any, params: Any) -> JobList:
        return JobList(jobs=(job,), file="jobs.yaml", enabled=True)

    async with opened({"daemon.status": daemon_status, "job.list": job_list}) as made:
        reply = await made.client().ask("GET", "/daemon/status")
        jobs = await made.client().ask("GET", "/api/jobs")
    assert reply.json["status"] == "running"
    assert reply.json["service"] == {"provider": "local", "model": "m", "llm_provider": "local", "llm_model": "m"}
    (shown,) = reply.json["scheduler"]["jobs"]
    assert shown == {
        "name": "daily", "skill": "k", "cron": "0 9 * * *", "enabled": True, "next": "2026-01-01T09:00:00Z"
    }  # fmt: skip
    assert jobs.json["jobs"][0]["name"] == "daily"


async def test_a_text_without_a_name_is_stored_as_the_predecessor_called_it() -> None:
    sources: list[Any] = []

    async def store(request: Any, params: Any) -> Done:
        sources.append((params.text, params.source, params.paths))
        return Done()

    async with opened({"document.ingest": store}) as made:
        client = made.client()
        await client.ask("POST", "/api/ingest", value={"text": "words"})
        await client.ask("POST", "/api/ingest", value={"path": "/a,b"})
    assert sources == [("words", "web_upload", ()), (None, None, ("/a,b",))]


async def test_documents_are_removed_by_query_or_body() -> None:
    asked: list[Any] = []

    async def delete(request: Any, params: Any) -> Done:
        asked.append((params.sources, params.ids))
        return Done()

    async with opened({"document.delete": delete}) as made:
        client = made.client()
        await client.ask("DELETE", "/api/documents?source=/a,b.md")
        await client.ask("DELETE", "/api/documents?ids=d-1,d-2")
        await client.ask("DELETE", "/api/documents", value={"id": "d-3"})
    assert asked == [(("/a,b.md",), ()), ((), ("d-1", "d-2")), ((), ("d-3",))]


async def test_a_tool_is_called_by_the_name_in_the_path() -> None:
    asked: list[Any] = []

    async def call(request: Any, params: Any) -> Done:
        asked.append((params.tool, params.arguments))
        return Done()

    async with opened({"tool.call": call}) as made:
        client = made.client()
        for name in ("arguments", "parameters"):
            await client.ask("POST", "/api/tools/read_file/execute", value={name: {"path": "x"}})
        twice = await client.ask("POST", "/api/tools/read_file/execute", value={"tool": "other"})
    assert asked == [("read_file", {"path": "x"})] * 2
    assert (twice.status, twice.error) == (400, "InvalidParams")
