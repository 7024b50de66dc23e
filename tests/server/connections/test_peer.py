"""One connection, with everything a client may do wrong."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from agentgw.protocol.errors import NotFound
from agentgw.protocol.events import ChatDelta, DaemonEvent
from agentgw_daemon.server.calls.request import Handler
from tests.patience import PATIENCE_S
from tests.server.harness import connected

pytestmark = pytest.mark.anyio


def ping(request: Any, params: Any) -> str:
    return "pong"


async def echo(request: Any, params: Any) -> dict[str, Any]:
    await trio.lowlevel.checkpoint()
    return {"message": params.message}


HANDLERS: dict[str, Handler] = {"ping": ping, "turn.start": echo}


def call(method: str, request_id: Any, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


async def test_a_request_is_answered() -> None:
    async with connected(HANDLERS) as client:
        assert await client.ask("ping", "a") == {"jsonrpc": "2.0", "id": "a", "result": "pong"}
        assert (await client.ask("turn.start", 2, message="hi"))["result"] == {"message": "hi"}


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b'{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', -32700),
        (b'[{"jsonrpc": "2.0", "method": "sum", "id": "1"},{"jsonrpc": "2.0", "method"', -32700),
        (b'{"jsonrpc": "2.0", "method": 1, "params": "bar"}', -32600),
        (b"[]", -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}', -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","id":1}', -32700),
        (b'{"a":"\\ud800"}', -32700),
        (b'{"a":' + b"9" * 5000 + b"}", -32700),
        (b'{"a":1e999}', -32700),
        (b'{"a":9223372036854775808}', -32700),
        (b"[" * 100_000, -32600),
        (b"\xff\xfe{\x00}\x00", -32700),
        (b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}', -32700),
        (b"\x00", -32700),
    ],
)
async def test_what_is_no_json_or_no_request_is_refused_and_the_connection_goes_on(frame: bytes, code: int) -> None:
    async with connected(HANDLERS) as client:
        await client.stream.send_all(frame + b"\n")
        response = await client.receive()
        assert response["error"]["code"] == code
        assert response["id"] is None
        assert (await client.ask("ping"))["result"] == "pong"


async def test_a_batch_is_answered_entry_by_entry() -> None:
    async with connected(HANDLERS) as client:
        await client.send(
            [
                call("ping", "1"), {"jsonrpc": "2.0", "method": "ping"}, call("turn.start", "2", message="x"),
                {"foo": "boo"}, call("nope", "5"), 1,
            ]
        )  # fmt: skip
        responses = await client.receive()
        by_id = {response["id"]: response for response in responses if response["id"] is not None}
        assert by_id["1"]["result"] == "pong"
        assert by_id["2"]["result"] == {"message": "x"}
        assert by_id["5"]["error"]["code"] == -32601
        assert [response["error"]["code"] for response in responses if response["id"] is None] == [-32600, -32600]
        assert len(responses) == 5


async def test_a_batch_of_notifications_is_answered_with_no_bytes() -> None:
    async with connected(HANDLERS) as client:
        await client.send([{"jsonrpc": "2.0", "method": "ping"}] * 3)
        assert await client.ask("ping", "after") == {"jsonrpc": "2.0", "id": "after", "result": "pong"}


async def test_three_invalid_entries_get_three_answers() -> None:
    async with connected(HANDLERS) as client:
        await client.send([1, 2, 3])
        assert [response["error"]["code"] for response in await client.receive()] == [-32600] * 3


async def test_a_batch_has_a_largest_size() -> None:
    async with connected(HANDLERS) as client:
        await client.send([call("ping", i) for i in range(100)])
        assert len(await client.receive()) == 100
        await client.send([call("ping", i) for i in range(101)])
        assert (await client.receive())["error"]["code"] == -32600


async def test_a_notification_is_executed_and_not_answered() -> None:
    ran: list[str] = []

    async def remember(request: Any, params: Any) -> None:
        ran.append(params.message)

    async with connected({**HANDLERS, "turn.start": remember}) as client:
        await client.send({"jsonrpc": "2.0", "method": "turn.start", "params": {"message": "quiet"}})
        await wait_all_tasks_blocked()
        assert ran == ["quiet"]
        assert (await client.ask("ping", 9))["id"] == 9


async def test_a_frame_of_the_largest_size_is_taken_and_one_more_byte_is_not() -> None:
    async with connected(HANDLERS, max_message_bytes=65536) as client:
        base = json.dumps(call("turn.start", 1, message="")).encode()
        whole = json.dumps(call("turn.start", 1, message="x" * (65536 - len(base)))).encode()
        assert len(whole) == 65536
        await client.stream.send_all(whole + b"\n")
        assert len((await client.receive())["result"]["message"]) == 65536 - len(base)
        await client.stream.send_all(whole[:-2] + b'x"}}\n')
        assert (await client.receive())["error"]["code"] == -32600
        assert await client.receive() is None


async def test_an_endless_frame_is_refused_without_being_kept() -> None:
    async with connected(HANDLERS, max_message_bytes=65536) as client:
        tracemalloc.start()
        refused: list[Any] = []

        async def flood() -> None:
            try:
                for _ in range(1024):
                    await client.stream.send_all(b"a" * 65536)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            refused += await client.rest()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert refused[0]["error"]["message"].startswith("frame too large")
        assert peak < 5 << 20


async def test_a_frame_that_does_not_end_is_given_up() -> None:
    async with connected(HANDLERS, frame_timeout_s=0.1) as client:
        await client.stream.send_all(b'{"json')
        messages = await client.rest()
        assert "not ended within 0.1 s" in messages[0]["error"]["message"]


async def test_dripping_bytes_does_not_keep_a_frame_alive() -> None:
    async with connected(HANDLERS, frame_timeout_s=0.2) as client:
        with trio.fail_after(PATIENCE_S):
            try:
                while True:
                    await client.stream.send_all(b" x")
                    await trio.sleep(0.01)
            except trio.BrokenResourceError:
                return


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 40), min_size=1, max_size=40), st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n\r\n"]))
async def test_chunking_changes_nothing(cuts: list[int], ending: bytes) -> None:
    sent = b"".join(json.dumps(call("ping", i)).encode() + ending for i in range(20))
    async with connected(HANDLERS) as client:
        at = 0
        for i in range(len(sent)):
            size = cuts[i % len(cuts)]
            if at >= len(sent):
                break
            await client.stream.send_all(sent[at : at + size])
            at += size
        assert [(await client.receive())["id"] for _ in range(20)] == list(range(20))


async def test_an_error_of_ours_keeps_its_code_and_data() -> None:
    async def fail(request: Any, params: Any) -> None:
        raise NotFound("no such thing", hint="look elsewhere", kind="turn", id="t")

    async with connected({**HANDLERS, "turn.start": fail}) as client:
        error = (await client.ask("turn.start", message="x"))["error"]
        assert error["code"] == -32001
        assert error["data"] == {"kind": "turn", "id": "t", "hint": "look elsewhere"}


async def test_a_bug_is_answered_with_an_id_and_the_daemon_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def bug(request: Any, params: Any) -> float:
        return 1 / 0

    async with connected({**HANDLERS, "turn.start": bug}) as client:
        error = (await client.ask("turn.start", message="x"))["error"]
        assert error["code"] == -32603
        assert "division" not in json.dumps(error)
        assert "/" not in error["message"]
        assert error["data"]["error_id"] in caplog.text
        assert (await client.ask("ping"))["result"] == "pong"


async def test_one_request_too_many_is_overloaded() -> None:
    release = trio.Event()

    async def wait(request: Any, params: Any) -> str:
        await release.wait()
        return "done"

    async with connected({**HANDLERS, "turn.start": wait}, in_flight=3) as client:
        await client.send(*(call("turn.start", i, message="x") for i in range(4)))
        response = await client.receive()
        assert response["id"] == 3
        assert response["error"]["code"] == -32004
        release.set()
        assert sorted([(await client.receive())["id"] for _ in range(3)]) == [0, 1, 2]


async def test_an_id_in_flight_cannot_be_used_again() -> None:
    release = trio.Event()

    async def wait(request: Any, params: Any) -> str:
        await release.wait()
        return "done"

    async with connected({**HANDLERS, "turn.start": wait}) as client:
        await client.send(call("turn.start", 7, message="x"), call("turn.start", 7, message="y"))
        assert (await client.receive())["error"]["code"] == -32600
        release.set()
        assert (await client.receive())["result"] == "done"
        await client.send(call("turn.start", 7, message="again"))
        assert (await client.receive())["result"] == "done"


async def test_a_client_that_only_stops_sending_gets_its_answer() -> None:
    release = trio.Event()

    async def wait(request: Any, params: Any) -> str:
        await release.wait()
        return "late"

    async with connected({**HANDLERS, "turn.start": wait}) as client:
        await client.send(call("turn.start", 1, message="x"))
        await client.stream.send_eof()
        await wait_all_tasks_blocked()
        release.set()
        assert [message["result"] for message in await client.rest()] == ["late"]


async def test_a_client_that_leaves_cancels_its_requests() -> None:
    cancelled = trio.Event()

    async def wait(request: Any, params: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with connected({**HANDLERS, "turn.start": wait}) as client:
        await client.send(call("turn.start", 1, message="x"))
        await wait_all_tasks_blocked()
        await client.stream.aclose()
        with trio.fail_after(PATIENCE_S):
            await cancelled.wait()


async def test_a_half_closed_client_that_dies_later_is_noticed_without_traffic() -> None:
    cancelled = trio.Event()

    async def wait(request: Any, params: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with connected({**HANDLERS, "turn.start": wait}) as client:
        await client.send(call("turn.start", 1, message="x"))
        await client.stream.send_eof()
        await wait_all_tasks_blocked()
        assert not cancelled.is_set()
        await client.stream.aclose()
        with trio.fail_after(PATIENCE_S):
            await cancelled.wait()


async def test_a_reader_that_stands_still_stops_the_stream_and_is_dropped() -> None:
    sent = 0
    ended = trio.Event()

    async def flood(request: Any, params: Any) -> None:
        nonlocal sent
        try:
            while True:
                await request.events.notify(ChatDelta(text="x" * 1000))
                sent += 1
        finally:
            ended.set()

    limits = {"outbox_bytes": 65536, "write_stall_s": 0.3}
    async with connected({**HANDLERS, "turn.start": flood}, **limits) as client:
        await client.send(call("turn.start", 1, message="x"))
        with trio.fail_after(PATIENCE_S):
            await ended.wait()
    # The kernel takes some 200 kB before it blocks; ours is 64 KiB; nothing else may pile up.
    assert sent * 1000 < (65536 + (1 << 20))


async def test_a_slow_reader_gets_every_notification_once() -> None:
    async def count(request: Any, params: Any) -> str:
        for i in range(2000):
            await request.events.notify(ChatDelta(text=f"{i} " + "x" * 200))
        return "end"

    async with connected({**HANDLERS, "turn.start": count}, outbox_bytes=4096) as client:
        await client.send(call("turn.start", 1, message="x"))
        seen = []
        for i in range(2000):
            seen.append(int((await client.receive())["params"]["text"].split()[0]))
            if i % 500 == 0:
                await wait_all_tasks_blocked()
        assert seen == list(range(2000))
        assert (await client.receive())["result"] == "end"


async def test_a_subscriber_gets_events_until_it_leaves() -> None:
    hubs: list[Any] = []

    async def subscribe(request: Any, params: Any) -> str:
        hubs.append(request.services.hub)
        request.subscribe(params.topics)
        return "ok"

    async with connected({**HANDLERS, "event.subscribe": subscribe}) as client:
        await client.ask("event.subscribe", topics=["turns"])
        hubs[0].publish("models", "loaded", model="m")
        hubs[0].publish("turns", "started", turn_id="t")
        event = await client.receive()
        assert event["method"] == DaemonEvent.method
        assert event["params"] == {"topic": "turns", "name": "started", "data": {"turn_id": "t"}}
    hubs[0].publish("turns", "started", turn_id="nobody listens")


class Unreadable:
    """A result that no JSON can say."""


def deep() -> list[Any]:
    made: list[Any] = []
    for _ in range(100_000):
        made = [made]
    return made


@pytest.mark.parametrize("bad", [lambda: float("nan"), lambda: {1: b"bytes"}, deep, Unreadable])
@pytest.mark.parametrize("plain", [True, False])
async def test_a_reply_that_cannot_be_encoded_fails_its_request_alone(bad: Any, plain: bool) -> None:
    def at_once(request: Any, params: Any) -> Any:
        return bad()

    async def later(request: Any, params: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return bad()

    async with connected({"ping": ping, "stats.get": at_once if plain else later}) as client:
        answer = await client.ask("stats.get", 1)
        assert answer["error"]["code"] == -32603
        assert answer["error"]["data"]["error_id"] in answer["error"]["message"]
        assert (await client.ask("ping", 2))["result"] == "pong"
        await client.send([call("stats.get", 3), call("ping", 4)])
        broken, good = await client.receive()
        assert (broken["id"], broken["error"]["code"], good["result"]) == (3, -32603, "pong")


async def test_an_error_that_cannot_be_encoded_fails_its_request_alone() -> None:
    async def fail(request: Any, params: Any) -> Any:
        await trio.lowlevel.checkpoint()
        raise NotFound("no", id=Unreadable())

    async with connected({"ping": ping, "stats.get": fail}) as client:
        assert (await client.ask("stats.get", 1))["error"]["code"] == -32603
        assert (await client.ask("ping", 2))["result"] == "pong"


async def test_an_event_that_cannot_be_encoded_is_not_the_publishers_problem(caplog: pytest.LogCaptureFixture) -> None:
    async def publish(request: Any, params: Any) -> Any:
        request.services.hub.publish("turns", "started", bad=float("nan"))
        request.services.hub.publish("turns", "started", good=1)
        return {}

    async def subscribe(request: Any, params: Any) -> Any:
        request.subscribe(("turns",))
        return {}

    async with connected({"event.subscribe": subscribe, "stats.get": publish}) as client:
        await client.ask("event.subscribe", 1, topics=["turns"])
        told = await client.ask("stats.get", 2)
        assert told["params"]["data"] == {"good": 1}
        assert (await client.receive())["id"] == 2
    assert "telling a subscriber" in caplog.text
