"""One connection: the requests of sloppy and hostile clients, leaving, and clients that neither speak nor listen."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from agentgw.protocol.calls.shared import Done
from agentgw.protocol.events import ChatDelta
from agentgw_daemon.config.settings import HttpSection
from agentgw_daemon.gateway.http import connection as module
from agentgw_daemon.server.calls.request import Handler
from tests.gateway.harness import HOST, TCP, UNIX, flood, opened
from tests.polling import until

pytestmark = pytest.mark.anyio

# Time passes at once where nobody has anything to do.
JUMPING = pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0.01)})], ids=["jumping"]
)
HEAD = f"Host: {HOST}\r\n"


def done(request: Any, params: Any) -> Done:
    return Done()


class Waiting:
    """A handler that never answers, and knows whether it was cancelled."""

    def __init__(self) -> None:
        self.started = trio.Event()
        self.cancelled = trio.Event()

    async def __call__(self, request: Any, params: Any) -> Done:
        self.started.set()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            self.cancelled.set()
            raise
        return Done()


async def test_a_connection_serves_one_request_after_another() -> None:
    async with opened({"stats.get": done}) as made:
        client = made.client()
        for _ in range(3):
            reply = await client.ask("GET", "/api/stats")
            assert (reply.status, reply.json, reply.closes) == (200, {"ok": True}, False)


async def test_requests_sent_ahead_are_answered_in_their_order() -> None:
    async with opened({"stats.get": done}) as made:
        client = made.client()
        for target in ("/health", "/nix", "/api/stats"):
            await client.send("GET", target)
        assert [(await client.reply()).status for _ in range(3)] == [200, 404, 200]


async def test_old_clients_are_answered_and_the_connection_closed() -> None:
    async with opened({}) as made:
        client = made.client()
        await client.stream.send_all(f"GET /health HTTP/1.0\r\n{HEAD}\r\n".encode())
        said = await client.rest()
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert said.endswith(b'{"status":"ok"}\n')


async def test_a_head_request_has_the_head_of_a_get_alone() -> None:
    async with opened({}) as made:
        client = made.client()
        reply = await client.ask("HEAD", "/health")
        assert (reply.status, reply.headers["content-length"], reply.body) == (200, "16", b"")
        assert (await client.ask("GET", "/health")).status == 200


@pytest.mark.parametrize(
    ("junk", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /health\r\n\r\n", 400),
        (f"GET health HTTP/1.1\r\n{HEAD}\r\n".encode(), 400),
        (f"OPTIONS * HTTP/1.1\r\n{HEAD}\r\n".encode(), 400),
        (f"CONNECT evil.com:443 HTTP/1.1\r\n{HEAD}\r\n".encode(), 400),
        (f"GET /health HTTP/1.1\r\n{HEAD}X: a\r\n b\r\nbad line\r\n\r\n".encode(), 400),
        (f"GET /health HTTP/1.1\r\n{HEAD}X : a\r\n\r\n".encode(), 400),
        (f"GET / HTTP/1.1\r\n{HEAD}X: {'x' * 20_000}\r\n\r\n".encode(), 431),
        (f"POST /api/run HTTP/1.1\r\n{HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\n".encode(), 400),
        (f"POST /api/run HTTP/1.1\r\n{HEAD}Content-Length: -1\r\n\r\n".encode(), 400),
        (f"POST / HTTP/1.1\r\n{HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode(), 400),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}\r\n\r\n', 400),
    ],
)  # fmt: skip
async def test_what_is_no_request_gets_its_answer_and_the_connection_ends(junk: bytes, status: int) -> None:
    async with opened({}) as made:
        client = made.client()
        await client.stream.send_all(junk)
        said = await client.rest()
        assert said.startswith(f"HTTP/1.1 {status} ".encode()), said
        assert b"\r\nconnection: close\r\n" in said or status == 400
        assert (await made.client().ask("GET", "/health")).status == 200


async def test_a_path_that_is_no_text_is_refused() -> None:
    async with opened({}) as made:
        assert (await made.client().ask("GET", "/%ff")).status == 400


async def test_junk_behind_a_request_is_answered_after_it() -> None:
    async with opened({}) as made:
        client = made.client()
        await client.stream.send_all(f"GET /health HTTP/1.1\r\n{HEAD}\r\n\x00\x01junk\r\n\r\n".encode())
        said = await client.rest()
    assert said.count(b"HTTP/1.1 ") == 2
    assert said.index(b" 200 OK") < said.index(b" 400 ")


async def test_a_body_longer_than_allowed_is_refused_before_it_is_read() -> None:
    async with opened({}, max_message_bytes=4096) as made:
        client = made.client()
        lines = f"{HEAD}Content-Type: application/json\r\nContent-Length: 10000000000\r\n"
        await client.stream.send_all(f"POST /api/run HTTP/1.1\r\n{lines}\r\n".encode())
        reply = await client.reply("POST")
    assert (reply.status, reply.closes) == (413, True)
    assert "limits.max_message_bytes" in reply.json["error"]["hint"]


async def test_a_body_without_announced_length_is_cut_off_at_the_limit() -> None:
    async with opened({}, max_message_bytes=4096) as made:
        client = made.client()
        lines = f"{HEAD}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
        await client.stream.send_all(f"POST /api/run HTTP/1.1\r\n{lines}\r\n".encode())
        for _ in range(5):
            await client.stream.send_all(b"400\r\n" + b"x" * 0x400 + b"\r\n")
        assert (await client.reply("POST")).status == 413


async def test_who_asks_before_sending_a_body_is_told_to_go_on_or_refused() -> None:
    seen: list[Any] = []

    def note(request: Any, params: Any) -> Done:
        seen.append(params.message)
        return Done()

    async with opened({"skill.route": note}) as made:
        client = made.client()
        lines = f"{HEAD}Content-Type: application/json\r\nContent-Length: 15\r\nExpect: 100-continue\r\n"
        await client.stream.send_all(f"POST /api/route HTTP/1.1\r\n{lines}\r\n".encode())
        assert b"HTTP/1.1 100 " in await client.until(b"\r\n\r\n")
        await client.stream.send_all(b'{"message":"x"}')
        assert (await client.reply("POST")).status == 200
        other = made.client()
        await other.stream.send_all(f"POST /nix HTTP/1.1\r\n{lines}\r\n".encode())
        assert (await other.reply("POST")).status == 404
    assert seen == ["x"]


@pytest.mark.parametrize("door", [UNIX, TCP], ids=["unix", "tcp"])
async def test_a_client_that_leaves_cancels_its_call(door: Any) -> None:
    waiting = Waiting()
    handlers: dict[str, Handler] = {"stats.get": waiting}
    async with opened(handlers) as made:
        client = made.client(door)
        headers = {"Authorization": "Bearer k-0123456789abcdef0123456789abcdef"}
        await client.send("GET", "/api/stats", headers=headers)
        await waiting.started.wait()
        await client.stream.aclose()
        await waiting.cancelled.wait()
        await until(lambda: not made.gateway.requests)


async def test_a_request_through_a_pipe_whose_writer_is_done_gets_its_answer() -> None:
    async with opened({"stats.get": done}) as made:
        client = made.client(UNIX)
        await client.send("GET", "/api/stats")
        await client.stream.send_eof()
        assert (await client.reply()).json == {"ok": True}
        assert await client.rest() == b""


async def test_a_stream_whose_client_reads_nothing_is_dropped_after_the_stall() -> None:
    async with opened({"turn.attach": flood}, write_stall_s=0.1) as made:
        client = made.client()
        await client.send("GET", "/api/turns/t/events")
        await until(lambda: made.gateway.watchers)
        await until(lambda: not made.gateway.watchers)
        assert b"event: chat.delta" in await client.rest()


@JUMPING
async def test_a_head_that_does_not_come_is_waited_for_so_long_and_no_longer() -> None:
    async with opened_for_ever() as made:
        silent, slow = made.client(), made.client()
        await slow.stream.send_all(b"GET /health HTTP/1.1\r\n")
        began = trio.current_time()
        assert await silent.rest() == b""
        assert (await slow.rest()).startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() - began <= 12


@JUMPING
async def test_a_body_that_drips_is_cut_off() -> None:
    async with opened_for_ever() as made:
        client = made.client()
        lines = f"{HEAD}Content-Type: application/json\r\nContent-Length: 1000\r\n"
        await client.stream.send_all(f"POST /api/run HTTP/1.1\r\n{lines}\r\n".encode())
        for _ in range(3):
            await trio.sleep(3)
            await client.stream.send_all(b" ")
        assert (await client.reply("POST")).status == 408


@JUMPING
async def test_a_connection_that_is_not_used_again_is_closed() -> None:
    async with opened_for_ever() as made:
        client = made.client()
        assert (await client.ask("GET", "/health")).status == 200
        began = trio.current_time()
        assert await client.rest() == b""
        assert trio.current_time() - began == pytest.approx(module.IDLE_TIMEOUT_S, abs=0.5)


async def test_closing_lets_an_answer_under_way_leave_and_ends_connections_that_wait() -> None:
    release = trio.Event()
    started = trio.Event()

    async def slow(request: Any, params: Any) -> Done:
        started.set()
        await release.wait()
        return Done()

    async with opened({"stats.get": slow}) as made:
        idle, busy = made.client(), made.client()
        assert (await idle.ask("GET", "/health")).status == 200
        await busy.send("GET", "/api/stats")
        await started.wait()
        made.gateway.close()
        assert await idle.rest() == b""
        release.set()
        reply = await busy.reply()
        assert (reply.status, reply.closes) == (200, True)


async def test_too_much_sent_ahead_is_not_read() -> None:
    waiting = Waiting()
    async with opened({"stats.get": waiting}) as made:
        client = made.client()
        await client.send("GET", "/api/stats")
        await waiting.started.wait()
        with trio.move_on_after(0.3) as patience:
            await client.stream.send_all(b"GET /health HTTP/1.1\r\n" * 100_000)
        assert patience.cancelled_caught


async def test_more_streams_than_allowed_are_told_which_setting_allows_more() -> None:
    async with opened({"turn.attach": flood}, http=HttpSection(watchers=1)) as made:
        first, second = made.client(), made.client()
        await first.send("GET", "/api/turns/t/events")
        assert b"200 OK" in await first.until(b"\r\n\r\n")
        reply = await second.ask("GET", "/api/turns/t/events")
        assert reply.status == 429
        assert "http.watchers" in reply.json["error"]["hint"]


def opened_for_ever() -> Any:
    """A gateway without handlers, under a clock that jumps."""
    return opened({}, fail_after_s=float("inf"))


@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_a_reader_that_stops_in_between_gets_every_byte_of_a_stream_in_its_order(version: str) -> None:
    """Pieces are sent at once as long as the kernel has room, and what is left of one before the next."""
    go_on, asked, halves = trio.Event(), trio.Event(), 400

    async def talks(request: Any, params: Any) -> Done:
        for number in range(2 * halves):
            await request.events.notify(ChatDelta(text=f"{number}-" + "x" * 3000))
            if number == 0:
                asked.set()
                await go_on.wait()
            # So that it is waited for anew, and the next one may be sent at once.
            await trio.lowlevel.checkpoint()
        return Done()

    async with opened({"turn.attach": talks}) as made:
        client = made.client()
        await client.stream.send_all(f"GET /api/turns/t-1/events HTTP/{version}\r\n{HEAD}\r\n".encode())
        await asked.wait()
        go_on.set()
        await trio.testing.wait_all_tasks_blocked()
        said = await client.until(b"event: result")
        if version == "1.1":
            # The last chunk, of which the beginning may have come already.
            said += b"" if said.endswith(b"0\r\n\r\n") else await client.until(b"0\r\n\r\n")
            body = unchunked(said.partition(b"\r\n\r\n")[2])
        else:
            body = (said + await client.rest()).partition(b"\r\n\r\n")[2]
    numbers = [int(data.partition(b"-")[0]) for data in body.split(b'data: {"text":"')[1:]]
    assert numbers == list(range(2 * halves))
    assert body.endswith(b'event: result\ndata: {"ok":true}\n\n')


def unchunked(body: bytes) -> bytes:
    """The content of chunks, each as long as it says."""
    made = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        assert body[length : length + 2] == b"\r\n"
        if not length:
            return made
        made, body = made + body[:length], body[length + 2 :]
