from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from agentgw.protocol.calls.shared import Done
from agentgw_daemon.config.settings import HttpSection
from agentgw_daemon.server.handlers import HANDLERS
from tests.gateway.harness import TCP, HttpClient, opened, with_key
from tests.polling import until
from tests.server.harness import PONG

pytestmark = pytest.mark.anyio

UPGRADE = {"Connection": "keep-alive, Upgrade", "Upgrade": "agentgw-rpc"}
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'


async def switched(client: HttpClient, **headers: str) -> None:
    await client.send("GET", "/rpc", headers={**UPGRADE, **headers})
    head = await client.until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"upgrade: agentgw-rpc" in head.lower()


async def line(client: HttpClient) -> Any:
    return json.loads(await client.until(b"\n"))


async def test_frames_go_both_ways_after_the_upgrade() -> None:
    async with opened({"ping": HANDLERS["ping"]}) as site:
        client = site.client(TCP)
        await switched(client, **with_key())
        await client.stream.send_all(PING)
        assert await line(client) == PONG
        await client.stream.send_all(b"nonsense\n")
        assert (await line(client))["error"]["code"] == -32700


async def test_a_frame_that_comes_with_the_request_is_not_lost() -> None:
    async with opened({"ping": HANDLERS["ping"]}) as site:
        client = site.client()
        head = "".join(f"{name}: {text}\r\n" for name, text in UPGRADE.items())
        await client.stream.send_all(f"GET /rpc HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + PING[:10])
        await client.until(b"\r\n\r\n")
        await client.stream.send_all(PING[10:])
        assert await line(client) == PONG


async def test_the_door_asks_for_its_key_first() -> None:
    async with opened({"ping": HANDLERS["ping"]}) as site:
        client = site.client(TCP)
        reply = await client.ask("GET", "/rpc", headers=UPGRADE)
        assert (reply.status, reply.error) == (401, "KeyRefused")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upgrade": "agentgw-rpc"},
        {"Connection": "Upgrade", "Upgrade": "h2c"},
        {"Connection": "Upgrade", "Upgrade": "agentgw-rpc, h2c"},
        {"Connection": "close", "Upgrade": "agentgw-rpc"},
        {"Connection": "Upgrade", "Upgrade": "agentgw-rpc", "Content-Length": "3"},
    ],
)
async def test_a_request_that_does_not_ask_for_it_is_told(headers: dict[str, str]) -> None:
    async with opened({}) as site:
        reply = await site.client().ask("GET", "/rpc", headers=headers)
        assert (reply.status, reply.error) == (426, "UpgradeRequired")
        assert reply.headers["upgrade"] == "agentgw-rpc"


async def test_open_connections_count_as_watchers() -> None:
    async with opened({"ping": HANDLERS["ping"]}, http=HttpSection(watchers=1)) as site:
        first = site.client()
        await switched(first)
        reply = await site.client().ask("GET", "/rpc", headers=UPGRADE)
        assert (reply.status, reply.error) == (429, "Overloaded")
        await first.stream.aclose()
        await until(lambda: not site.gateway.watchers)
        await switched(site.client())


@pytest.mark.parametrize("way", ["close", "shutdown"])
async def test_leaving_cancels_what_was_asked_for(way: str) -> None:
    began, ended = trio.Event(), trio.Event()

    async def reload(request: Any, params: Any) -> Done:
        began.set()
        try:
            await trio.sleep_forever()
        finally:
            ended.set()
        return Done()

    async with opened({"daemon.reload": reload}) as site:
        client = site.client()
        await switched(client)
        await client.stream.send_all(b'{"jsonrpc":"2.0","id":1,"method":"daemon.reload"}\n')
        await began.wait()
        # Over TCP a killed client looks like one that has only sent its end.
        await (client.stream.aclose() if way == "close" else client.stream.send_eof())
        await ended.wait()


async def test_a_stop_lets_the_reply_under_way_leave_and_closes() -> None:
    began, go_on = trio.Event(), trio.Event()

    async def reload(request: Any, params: Any) -> Done:
        began.set()
        await go_on.wait()
        return Done()

    async with opened({"daemon.reload": reload}) as site:
        client = site.client()
        await switched(client)
        await client.stream.send_all(b'{"jsonrpc":"2.0","id":1,"method":"daemon.reload"}\n')
        await began.wait()
        site.gateway.close()
        go_on.set()
        assert json.loads(await client.rest()) == {"jsonrpc": "2.0", "id": 1, "result": {"ok": True}}
