"""A dialect as a module of its own: its requests become the same calls, the same events its own stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pytest
import trio

from agentgw.protocol.calls.turns import TurnResult, TurnStartParams
from agentgw.protocol.errors import InvalidParams, ModelUnavailable, RpcError
from agentgw.protocol.events import TurnCompleted, TurnDelta, TurnEvent, TurnStarted
from agentgw.protocol.records.schema import bind
from agentgw_daemon.events.stored_event import StoredEvent
from agentgw_daemon.gateway.http.messages import HttpAnswer, json_answer
from agentgw_daemon.gateway.routing import exchange as exchange_module
from agentgw_daemon.gateway.routing.exchange import Exchange
from agentgw_daemon.gateway.routing.routes import Route, RouteTable
from agentgw_daemon.gateway.serving import PAGES, ROUTES
from agentgw_daemon.server.calls.request import Handler
from agentgw_daemon.server.calls.sinks import OtherEvent
from tests.gateway.harness import TCP, opened, with_key

pytestmark = pytest.mark.anyio


class Lines:
    """The stream of the dialect: a JSON value a line, and nothing while nothing comes."""

    content_type: Final = "application/x-ndjson"
    heartbeat: Final = b""
    is_finished: Final = True

    def turn_events(self, turn_id: str, session_id: str, seq: int, events: Sequence[TurnEvent]) -> bytes:
        return b"".join(_line({"said": event.text}) for event in events if isinstance(event, TurnDelta))

    def stored_events(self, turn_id: str, session_id: str, events: Iterable[StoredEvent]) -> bytes:
        return b"".join(_line({"said": one.params["text"]}) for one in events if one.method == TurnDelta.method)

    def other_event(self, event: OtherEvent) -> bytes:
        return b""

    def result(self, value: TurnResult) -> bytes:
        return _line({"done": value.finish_reason})

    def failure(self, value: dict[str, Any]) -> bytes:
        return _line({"failed": value["message"]})

    async def finished(self, frames: bytes) -> bytes:
        return frames


async def say(exchange: Exchange) -> HttpAnswer | None:
    """Its fields are its own, and so is the form of what goes wrong."""
    try:
        body = await exchange.body()
        params = bind(TurnStartParams, {"message": body.get("prompt"), "model": body.get("engine"), "ephemeral": True})
        if body.get("whole"):
            return json_answer({"said": (await exchange.call("turn.start", params)).text})
        await exchange.stream("turn.start", params, Lines())
    except RpcError as error:
        return json_answer({"oops": error.message}, 422 if isinstance(error, InvalidParams) else 503)
    return None


DIALECT: Final = RouteTable(
    (Route(method="POST", path="/mini/say", doc="Says it.", respond=say, body="json", streams=True),), PAGES
)


class Model:
    """`turn.start` with an answer of two words, or with an error before or behind them."""

    def __init__(self, error: RpcError | None = None, *, late: bool = False) -> None:
        self.asked: list[TurnStartParams] = []
        self._error = error
        self._late = late
        self.go_on = trio.Event()

    def handlers(self) -> Mapping[str, Handler]:
        return {"turn.start": self._start}

    async def _start(self, request: Any, params: TurnStartParams) -> TurnResult:
        self.asked.append(params)
        if self._error is not None and not self._late:
            raise self._error
        await request.events.show("t-1", "s-1", 1, (TurnStarted(skill="k", model="m"), TurnDelta(text="two ")))
        await self.go_on.wait()
        await request.events.show("t-1", "s-1", 3, (TurnDelta(text="words"), TurnCompleted(finish_reason="stop")))
        if self._error is not None:
            raise self._error
        return TurnResult(turn_id="t-1", session_id="s-1", text="two words", finish_reason="stop")


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def values(body: bytes) -> list[Any]:
    return [json.loads(line) for line in body.splitlines()]


async def test_it_streams_in_its_own_form_as_the_words_come(monkeypatch: pytest.MonkeyPatch) -> None:
    beaten = trio.Event()

    def beat(lines: Lines) -> bytes:
        beaten.set()
        return b""

    monkeypatch.setattr(exchange_module, "HEARTBEAT_S", 0.01)
    monkeypatch.setattr(Lines, "heartbeat", property(beat))
    model = Model()
    async with opened(model.handlers(), routes=DIALECT) as made:
        client = made.client()
        await client.send("POST", "/mini/say", value={"prompt": "hi", "engine": "m"})
        said = await client.until(b'{"said": "two "}\n')
        assert b"content-type: application/x-ndjson\r\n" in said
        await beaten.wait()
        model.go_on.set()
        rest = await client.until(b'{"done": "stop"}\n')
    assert b'{"said": "words"}\n' in rest
    assert b"still here" not in rest
    assert [(params.message, params.model, params.ephemeral) for params in model.asked] == [("hi", "m", True)]


@pytest.mark.parametrize(
    ("model", "status", "said"),
    [
        (Model(), 200, [{"said": "two "}, {"said": "words"}, {"done": "stop"}]),
        (Model(ModelUnavailable("no model")), 503, [{"oops": "no model"}]),
        (Model(ModelUnavailable("gone"), late=True), 200, [{"said": "two "}, {"said": "words"}, {"failed": "gone"}]),
    ],
    ids=["whole", "refused", "broken off"],
)
async def test_its_ends_are_its_own(model: Model, status: int, said: list[Any]) -> None:
    model.go_on.set()
    async with opened(model.handlers(), routes=DIALECT) as made:
        reply = await made.client().ask("POST", "/mini/say", value={"prompt": "hi"})
    assert (reply.status, values(reply.body)) == (status, said)


async def test_it_answers_as_a_whole_and_refuses_what_it_cannot_read() -> None:
    model = Model()
    model.go_on.set()
    async with opened(model.handlers(), routes=DIALECT) as made:
        client = made.client()
        whole = await client.ask("POST", "/mini/say", value={"prompt": "hi", "whole": True})
        wrong = await client.ask("POST", "/mini/say", value={"prompt": 7})
    assert (whole.json, wrong.status) == ({"said": "two words"}, 422)


async def test_the_doors_of_the_product_hold_for_it_as_well() -> None:
    model = Model()
    async with opened(model.handlers(), routes=DIALECT) as made:
        value = {"prompt": "hi"}
        assert (await made.client(TCP).ask("POST", "/mini/say", value=value)).status == 401
        foreign = with_key(Origin="http://evil.com")
        assert (await made.client(TCP).ask("POST", "/mini/say", headers=foreign, value=value)).status == 403
        form = await made.client().ask("POST", "/mini/say", headers={"Content-Type": "text/plain"}, body=b"{}")
        assert form.status == 415
    assert model.asked == []
    assert all(route.path != "/mini/say" for route in ROUTES.routes)
