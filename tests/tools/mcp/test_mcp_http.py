"""A server over HTTP: bounded in time and size, and never led elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from agentgw_daemon.config.settings import McpServerSection
from agentgw_daemon.tools.mcp.mcp_errors import ServerFailed
from agentgw_daemon.tools.mcp.mcp_server import McpLimits, McpServer
from tests.patience import PATIENCE_S
from tests.tools.kit import ENVIRON
from tests.tools.mcp.webserver import WebServer, web_server

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def running(web: WebServer, timeout_s: float = 20.0) -> AsyncIterator[McpServer]:
    limits = McpLimits(start_s=10.0, first_backoff_s=0.01, ping_s=1.0)
    made = McpServer(
        "w", McpServerSection(url=web.url, timeout_s=timeout_s), ENVIRON, on_listed=lambda: None, limits=limits
    )
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.run)
            yield made
            nursery.cancel_scope.cancel()


async def call(server: McpServer, how: str) -> str:
    return str((await server.call("misbehave", {"how": how}))["content"][0]["text"])


async def test_a_call_over_http_as_json_and_as_events() -> None:
    async with web_server() as web, running(web) as server:
        assert [await call(server, "a"), await call(server, "events")] == ["done: a", "done: events"]
        posted = [one for one in web.requests if one not in ("GET", "DELETE")]
        assert posted == ["initialize", "notifications/initialized", "tools/list", "tools/call", "tools/call"]
        assert set(web.paths) == {"/mcp"}


@pytest.mark.parametrize("how", ["garbage", "page", "error", "large", "large event", "flood", "die"])
async def test_a_call_that_goes_wrong_fails_and_the_next_one_works(how: str) -> None:
    async with web_server() as web, running(web) as server:
        with pytest.raises(ServerFailed, match=r"^w "):
            await call(server, how)
        assert await call(server, "a") == "done: a"


async def test_an_answer_that_can_be_mended_is() -> None:
    async with web_server() as web, running(web) as server:
        assert await call(server, "half a pair") == "\ufffd caf\ufffd"
        assert await call(server, "half a pair in an event") == "\ufffd caf\ufffd"
        assert await call(server, "other id") == "done: other id"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("nan", "w did not answer as it should: its answer cannot be read: NaN is not JSON"),
        ("cut off", "w did not answer as it should: its answer cannot be read"),
        ("broken off", "w did not answer as it should: its answer broke off"),
        ("compressed", "w did not answer as it should: its answer is compressed"),
        ("garbage", "w did not answer as it should: its answer cannot be read: Expecting value"),
        ("page", "w did not answer as it should: its answer is of the type text/html"),
        ("large", "w did not answer as it should: its answer has more than 8 MiB"),
        (
            "login",
            'w refused the call: HTTP 401 Unauthorized: it wants a login (Bearer realm="x"), and agentgw has none',
        ),
        ("no method", "w refused the call: HTTP 405 Method Not Allowed: no MCP server answers at this address"),
        ("problem", 'w refused the call: HTTP 503 Service Unavailable: {"detail": "come back"}'),
        ("refusal", "w refused the call: not so"),
        ("error", "w refused the call: HTTP 500 Internal Server Error"),
        ("accepted", "w refused the call: server answered a request with 202 Accepted"),
    ],
)
async def test_why_there_is_no_answer_is_told_at_once(how: str, said: str) -> None:
    async with web_server() as web, running(web) as server:
        with pytest.raises(ServerFailed) as caught:
            await call(server, how)
        assert str(caught.value).startswith(said)
        assert await call(server, "a") == "done: a"


async def test_a_server_that_wants_a_login_from_the_start_says_so() -> None:
    async with web_server() as web:
        web.refuses = "401 Unauthorized"
        async with running(web) as server:
            with pytest.raises(ServerFailed, match="w refused to begin: HTTP 401 Unauthorized: it wants a login"):
                await call(server, "a")
            assert "it wants a login" in server.problem


async def test_a_server_that_has_forgotten_us_is_greeted_anew() -> None:
    async with web_server() as web, running(web) as server:
        with pytest.raises(ServerFailed, match="w ended the session"):
            await call(server, "forget")
        assert await call(server, "a") == "done: a"
        assert web.requests.count("initialize") == 2


async def test_a_call_without_an_answer_ends_at_its_limit() -> None:
    async with web_server() as web, running(web, timeout_s=0.5) as server:
        await server.settle()
        with pytest.raises(ServerFailed, match="w did not answer within"):
            await call(server, "hang")


async def test_nobody_listens() -> None:
    web = WebServer()
    async with web_server() as other:
        web.url = other.url
    async with running(web) as server:
        with pytest.raises(ServerFailed, match="w lost its connection: ConnectError"):
            await call(server, "a")
        assert server.problem


async def test_a_redirect_to_another_place_is_not_followed() -> None:
    async with web_server() as web, web_server() as elsewhere:
        web.redirect_to = elsewhere.url
        async with running(web) as server:
            with pytest.raises(ServerFailed, match="not followed"):
                await call(server, "a")
        assert elsewhere.requests == []
