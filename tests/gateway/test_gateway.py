"""Every route against every hostile head: nothing is let in, and nothing happens."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from agentgw.protocol.errors import NotFound
from agentgw_daemon.config.settings import HttpSection
from agentgw_daemon.gateway.access.admission import KEYLESS_PATH
from agentgw_daemon.gateway.routing.routes import Route
from agentgw_daemon.gateway.serving import ROUTES
from agentgw_daemon.server.handlers import HANDLERS
from agentgw_daemon.text.secrets import Secrets
from tests.gateway.harness import HOST, KEY, PORT, TCP, UNIX, opened, with_key
from tests.gateway.untouched import Untouched, path_of
from tests.polling import until

pytestmark = pytest.mark.anyio

BEARER = f"Authorization: Bearer {KEY}"

# Lines of a head in the place of Host, with the statuses that refuse them. The key is right in all of them.
HOSTILE_HOSTS = {
    "rebound": (f"Host: evil.com:{PORT}", 403),
    "rebound-without-port": ("Host: evil.com", 403),
    "subdomain": (f"Host: localhost.evil.com:{PORT}", 403),
    "prefixed": (f"Host: evil-localhost:{PORT}", 403),
    "trailing-dot": (f"Host: localhost.:{PORT}", 403),
    "other-port": (f"Host: 127.0.0.1:{PORT + 1}", 403),
    "no-port": ("Host: 127.0.0.1", 403),
    "everywhere": (f"Host: 0.0.0.0:{PORT}", 403),
    "private-address": (f"Host: 192.168.1.5:{PORT}", 403),
    "short-loopback": (f"Host: 127.1:{PORT}", 403),
    "decimal-loopback": (f"Host: 2130706433:{PORT}", 403),
    "mapped-loopback": (f"Host: [::ffff:127.0.0.1]:{PORT}", 403),
    "empty": ("Host: ", 400),
    "none": ("X-Nothing: here", 400),
    "two": (f"Host: {HOST}\r\nHost: evil.com:{PORT}", 400),
    "same-twice": (f"Host: {HOST}\r\nHost: {HOST}", 400),
    "list": (f"Host: {HOST}, evil.com", 400),
    "user": (f"Host: evil.com@{HOST}", 400),
    "path": (f"Host: {HOST}/x", 400),
    "not-ascii": (f"Host: 127.0.0.1\xe9:{PORT}", 400),
    "forwarded": (f"Host: evil.com\r\nX-Forwarded-Host: {HOST}", 403),
}
# Lines beside a good Host and the key.
HOSTILE_ORIGINS = {
    "foreign": ("Origin: http://evil.com", 403),
    "null": ("Origin: null", 403),
    "empty": ("Origin: ", 403),
    "https-of-ours": (f"Origin: https://{HOST}", 403),
    "our-name-other-port": ("Origin: http://127.0.0.1:9999", 403),
    "other-name-of-ours": (f"Origin: http://localhost:{PORT}", 403),
    "allowed-as-prefix": ("Origin: https://app.example.evil.com", 403),
    "allowed-as-http": ("Origin: http://app.example", 403),
    "two": (f"Origin: http://{HOST}\r\nOrigin: http://evil.com", 400),
    "cross-site": ("Sec-Fetch-Site: cross-site", 403),
    "same-site": ("Sec-Fetch-Site: same-site", 403),
    "same-site-of-our-origin": (f"Origin: http://{HOST}\r\nSec-Fetch-Site: same-site", 403),
}
# What the key must not be, with everything else in order.
WRONG_KEYS = {
    "none": "X-Nothing: here",
    "short": "Authorization: Bearer k",
    "empty": "Authorization: Bearer ",
    "prefix": f"Authorization: Bearer {KEY[:-1]}",
    "longer": f"Authorization: Bearer {KEY}x",
    "basic": f"Authorization: Basic {KEY}",
    "bare": f"Authorization: {KEY}",
    "not-ascii": "Authorization: Bearer \xe9\xe9",
    "long": f"Authorization: Bearer {'k' * 5000}",
    "twice": f"Authorization: Bearer {KEY}\r\nAuthorization: Bearer {KEY}",
    "x-api-key-wrong": "X-Api-Key: nothing",
    "cookie": f"Cookie: key={KEY}",
}


def head(route: Route, *lines: str, target: str = "", method: str = "", body: str = "{}") -> bytes:
    """A request of the route with these lines, which are put there as they are."""
    more = ["Content-Type: application/json", f"Content-Length: {len(body)}"] if route.method == "POST" else []
    text = "\r\n".join((f"{method or route.method} {target or path_of(route)} HTTP/1.1", *lines, *more, "", ""))
    return text.encode("latin-1") + (body.encode() if route.method == "POST" else b"")


async def status_of(made: Any, request: bytes) -> int:
    client = made.client(TCP)
    await client.stream.send_all(request)
    reply = await client.reply()
    # Nothing that a page could read, whoever it is.
    assert "access-control-allow-origin" not in reply.headers
    await client.stream.aclose()
    return int(reply.status)


async def test_a_foreign_host_is_refused_on_every_route_with_the_key_in_hand() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        for route in ROUTES.routes:
            for name, (line, expected) in HOSTILE_HOSTS.items():
                assert await status_of(made, head(route, line, BEARER)) == expected, (route.path, name)
            whole = head(route, f"Host: {HOST}", BEARER, target=f"http://{HOST}{path_of(route)}")
            assert await status_of(made, whole) == 400, route.path
    assert untouched.calls == []


async def test_a_foreign_page_is_refused_on_every_route_with_the_key_in_hand() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        for route in ROUTES.routes:
            for name, (line, expected) in HOSTILE_ORIGINS.items():
                assert await status_of(made, head(route, f"Host: {HOST}", BEARER, line)) == expected, (route.path, name)
    assert untouched.calls == []


async def test_without_the_key_nothing_but_health_answers_and_all_refusals_are_the_same() -> None:
    untouched = Untouched()
    bodies = set()
    async with opened(untouched.handlers()) as made:
        for route in (*ROUTES.routes, Route(method="GET", path="/no/such", doc="", respond=ROUTES.routes[0].respond)):
            for name, line in WRONG_KEYS.items():
                if route.path == KEYLESS_PATH:
                    continue
                client = made.client(TCP)
                await client.stream.send_all(head(route, f"Host: {HOST}", line))
                reply = await client.reply()
                assert reply.status == 401, (route.path, name)
                bodies.add(reply.body)
            in_query = head(route, f"Host: {HOST}", target=f"{path_of(route)}?key={KEY}&api_key={KEY}")
            assert await status_of(made, in_query) == (200 if route.path == KEYLESS_PATH else 401)
    assert len(bodies) == 1
    assert untouched.calls == []


async def test_what_a_form_can_send_is_refused_on_every_route_that_changes_something() -> None:
    """Pages of our own send forms with a token that nobody else knows."""
    untouched = Untouched()
    forms = ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
             "text/plain; application/json")  # fmt: skip
    async with opened(untouched.handlers()) as made:
        for route in ROUTES.routes:
            if route.method == "GET":
                continue
            for kind in forms:
                lines = [f"Host: {HOST}", BEARER, "Content-Length: 2"]
                lines += [f"Content-Type: {kind}"] if kind else []
                text = "\r\n".join((f"{route.method} {path_of(route)} HTTP/1.1", *lines, "", "{}"))
                is_form = route.body == "form" and kind == "application/x-www-form-urlencoded"
                assert await status_of(made, text.encode()) == (403 if is_form else 415), (route.path, kind)
    assert untouched.calls == []


async def test_no_route_knows_another_method_a_preflight_or_a_web_socket() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        for path in {path_of(route) for route in ROUTES.routes}:
            row = Route(method="GET", path=path, doc="", respond=ROUTES.routes[0].respond)
            known = {route.method for route in ROUTES.routes if path_of(route) == path}
            lines = (f"Host: {HOST}", BEARER)
            for method in {"PUT", "PATCH", "TRACE", "OPTIONS", "PROPFIND", "GET", "POST", "DELETE"} - known:
                assert await status_of(made, head(row, *lines, method=method)) == 405, (path, method)
            preflight = head(row, *lines, "Access-Control-Request-Method: POST", method="OPTIONS")
            assert await status_of(made, preflight) == 405
            upgrade = head(row, *lines, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
            assert await status_of(made, upgrade) == 405
    assert untouched.calls == []


async def test_nothing_is_changed_by_get() -> None:
    reads = {
        "daemon.status", "turn.attach", "document.list", "document.search", "feedback.list", "skill.list",
        "session.list", "session.messages", "config.get", "tool.list", "approval.list", "stats.get", "job.list", "",
    }  # fmt: skip
    assert {route.calls for route in ROUTES.routes if route.method == "GET"} <= reads


async def test_an_allowed_site_may_ask_beforehand_and_read_the_answer() -> None:
    async with opened(HANDLERS) as made:
        client = made.client(TCP)
        origin = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
        asked = await client.ask("OPTIONS", "/api/run", headers={**origin, "Access-Control-Request-Method": "POST"})
        assert asked.status == 204
        assert asked.headers["access-control-allow-origin"] == "https://app.example"
        assert "authorization" in asked.headers["access-control-allow-headers"]
        # The key is asked for all the same.
        assert (await client.ask("GET", "/docs", headers=origin)).status == 401
        reply = await client.ask("GET", "/docs", headers=with_key(**origin))
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, "https://app.example")


async def test_every_answer_forbids_to_be_framed_sniffed_kept_and_to_load_anything() -> None:
    async with opened(Untouched().handlers()) as made:
        client = made.client(TCP)
        for target, headers in (("/docs", with_key()), ("/nix", {}), ("/health", {})):
            reply = await client.ask("GET", target, headers=headers)
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert reply.headers["cache-control"] == "no-store"
            policy = reply.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy


async def test_an_error_of_a_call_keeps_its_code_and_shows_no_key() -> None:
    async def failing(request: Any, params: Any) -> None:
        raise NotFound(f"no {KEY} here", hint="look elsewhere", kind="turn", id=KEY)

    async with opened({"stats.get": failing}, secrets=Secrets(http=[KEY])) as made:
        reply = await made.client().ask("GET", "/api/stats")
    assert reply.status == 404
    assert reply.json["error"] == {
        "code": -32001, "name": "NotFound", "message": "no *** here", "hint": "look elsewhere",
        "data": {"kind": "turn", "id": "***"},
    }  # fmt: skip


async def test_a_bug_is_answered_with_an_id_and_the_connection_goes_on() -> None:
    def broken(request: Any, params: Any) -> None:
        raise ZeroDivisionError("a canary")

    async with opened({"stats.get": broken}) as made:
        client = made.client()
        reply = await client.ask("GET", "/api/stats")
        assert (reply.status, reply.error) == (500, "InternalError")
        assert b"canary" not in reply.body
        assert (await client.ask("GET", "/health")).status == 200


async def test_more_requests_than_allowed_are_told_which_setting_allows_more_and_health_still_answers() -> None:
    async def waits(request: Any, params: Any) -> None:
        await trio.sleep_forever()

    async with opened({"stats.get": waits}, http=HttpSection(requests=1)) as made:
        first, second = made.client(), made.client()
        await first.send("GET", "/api/stats")
        await until(lambda: made.gateway.requests)
        reply = await second.ask("GET", "/api/stats")
        assert reply.status == 429
        assert reply.headers["retry-after"] == "1"
        assert "http.requests" in reply.json["error"]["hint"]
        assert (await second.ask("GET", "/health")).status == 200


async def test_through_the_socket_no_key_is_asked_for_and_any_name_will_do() -> None:
    async with opened(Untouched().handlers()) as made:
        for host in ("localhost", "agentgw", "whatever:1"):
            assert (await made.client(UNIX).ask("GET", "/api/stats", host=host)).status == 200
        foreign = await made.client(UNIX).ask("GET", "/api/stats", headers={"Origin": "http://evil.com"})
        assert foreign.status == 403
