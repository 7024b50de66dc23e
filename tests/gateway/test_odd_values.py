"""Every route against values that are JSON and not what it wants, and requests that are HTTP and seldom seen.

What is no JSON, no form and no HTTP is in `test_hostile_requests`; who may ask is in `test_gateway`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from agentgw.protocol.methods import METHODS
from agentgw.protocol.records.schema import fields_of
from agentgw_daemon.gateway.access.admission import KEYLESS_PATH
from agentgw_daemon.gateway.api.calls import answer_call
from agentgw_daemon.gateway.routing.routes import Route
from agentgw_daemon.gateway.serving import ROUTES
from tests.gateway.harness import HOST, TCP, UNIX, HttpClient, OpenGateway, Reply, flood, opened, with_key
from tests.gateway.pages.harness import ORIGIN, Visitor
from tests.gateway.untouched import Untouched, path_of
from tests.polling import until

pytestmark = pytest.mark.anyio

JSON: Final = {"Content-Type": "application/json"}
DEEP: Final[Any] = [[[[[[{"a": [{}]}]]]]]]
VALUES: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 2**63 - 1, 1.5, -0.0, 1e308, "", " ", "x" * 5000, "a\0b", "\u202e", "[]", "1", [], [None], [[]],
    ["x", 1], {}, {"": ""}, {"type": {}}, DEEP,
)  # fmt: skip
# Of JSON, however it is written; and of what only looks like it.
JSON_TYPES: Final = (
    "application/json", "APPLICATION/JSON", " application/json ", "application/json;charset=utf-8",
    'application/json; charset="utf-8"', "application/json;", "application/json;;x",
)  # fmt: skip
OTHER_TYPES: Final = (
    "text/json", "application/jsonp", "application/json-seq", "application/vnd.api+json",
    "application/json, text/plain", "application /json", "json", "*/*", ";application/json", "application/x-json",
)  # fmt: skip
CODINGS: Final = (
    "gzip",
    "GZIP",
    "x-gzip",
    "deflate",
    "br",
    "zstd",
    "compress",
    "gzip, identity",
    "identity, gzip",
    "x",
)


def taking_json() -> Iterator[Route]:
    return (route for route in ROUTES.api if route.body in ("json", "upload"))


def told(reply: Reply) -> str:
    """The message of the one error in an answer."""
    assert reply.headers["content-type"] == "application/json"
    error = reply.json["error"]
    assert reply.json.keys() == {"error"}
    assert error.keys() <= {"code", "name", "message", "hint", "data"}
    assert isinstance(error["code"], int)
    assert error["name"]
    return str(error["message"])


async def asked(client: HttpClient, route: Route, body: Any) -> Reply:
    return await client.ask(route.method, path_of(route), value=body)


async def test_every_field_of_every_route_takes_any_value_or_says_what_is_wrong() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers(), fail_after_s=60) as made:
        client = made.client(UNIX)
        for route in taking_json():
            fields = fields_of(METHODS[route.calls].params)
            in_path = {part[1:-1] for part in route.parts if part.startswith("{")}
            in_path |= {route.names.get(name, name) for name in in_path}
            for field in fields:
                if field.name in in_path:
                    continue
                statuses = set()
                for value in VALUES:
                    reply = await asked(client, route, {field.name: value})
                    assert reply.status in (200, 400), (route.path, field.name, value, reply.body)
                    statuses.add(reply.status)
                    if reply.status == 400:
                        assert told(reply)
                assert 400 in statuses, (route.path, field.name)


async def test_a_field_that_nobody_knows_is_named_by_every_route() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        client = made.client(UNIX)
        for route in taking_json():
            for name in ("nonsense", "__proto__", "$ref", "messages\u202e", "ünbekannt", ""):
                reply = await asked(client, route, {name: 1})
                assert reply.status == 400, (route.path, name)
                assert told(reply)
    assert untouched.calls == []


@pytest.mark.parametrize("wanted", [True, False])
async def test_json_is_known_by_its_type_alone_whatever_stands_behind_it(wanted: bool) -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        for route in taking_json():
            for kind in JSON_TYPES if wanted else OTHER_TYPES:
                if not wanted and route.body == "upload":
                    # Whatever has another type is a document there.
                    continue
                client = made.client(UNIX)
                reply = await client.ask(
                    route.method, path_of(route), headers={"Content-Type": kind}, body=b'{"no": 1}'
                )
                assert reply.status == (400 if wanted else 415), (route.path, kind)
                assert told(reply)
    assert untouched.calls == []


async def test_a_compressed_body_is_refused_by_every_route() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        for route in ROUTES.routes:
            if route.method == "GET" or route.path == KEYLESS_PATH:
                continue
            for coding in CODINGS:
                client = made.client(TCP)
                headers = with_key(**JSON, **{"Content-Encoding": coding})
                reply = await client.ask(route.method, path_of(route), headers=headers, body=b"{}")
                assert (reply.status, told(reply)) == (415, "a compressed body is not read"), (route.path, coding)
    assert untouched.calls == []


async def test_a_body_in_chunks_and_one_that_is_asked_for_first_are_read_as_any_other() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        for route in taking_json():
            head = f"{route.method} {path_of(route)} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            for more, body in (
                ("Transfer-Encoding: chunked\r\n\r\n", b'3;x=y\r\n{"n\r\n6\r\no": 1}\r\n0\r\nX-Behind: 1\r\n\r\n'),
                ("Content-Length: 9\r\nExpect: 100-continue\r\n\r\n", b'{"no": 1}'),
                ("Transfer-Encoding: chunked\r\nExpect: 100-Continue\r\n\r\n", b'9\r\n{"no": 1}\r\n0\r\n\r\n'),
                ("Content-Length: 9\r\nExpect: something\r\n\r\n", b'{"no": 1}'),
            ):
                client = made.client(UNIX)
                await client.stream.send_all((head + more).encode())
                if "100-" in more:
                    assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
                await client.stream.send_all(body)
                reply = await client.reply()
                assert (reply.status, "no" in told(reply)) == (400, True), (route.path, more)


async def test_nobody_is_asked_for_a_body_that_is_not_let_in() -> None:
    async with opened(Untouched().handlers()) as made:
        for route in taking_json():
            client = made.client(TCP)
            lines = (
                f"Host: {HOST}\r\nContent-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
            )
            await client.stream.send_all(f"{route.method} {path_of(route)} HTTP/1.1\r\n{lines}".encode())
            assert (await client.rest()).startswith(b"HTTP/1.1 401 "), route.path


async def test_a_head_has_the_status_of_its_get_and_no_body() -> None:
    async with opened(Untouched().handlers()) as made:
        client = made.client(UNIX)
        for path in ("/health", "/docs", "/api/stats", "/api/sessions?limit=x", "/api/sessions?nosuch=1", "/nix"):
            whole, head = await client.ask("GET", path), await client.ask("HEAD", path)
            assert (head.status, head.body) == (whole.status, b""), path
            assert head.headers["content-length"] == whole.headers["content-length"] == str(len(whole.body))
        for route in ROUTES.api:
            if route.streams:
                assert (await made.client(UNIX).ask("HEAD", path_of(route))).status == 405, route.path


async def test_a_path_with_a_slash_too_many_is_told_apart_from_one_that_is_nowhere() -> None:
    async with opened(Untouched().handlers()) as made:
        for route in ROUTES.api:
            for slashes in ("/", "//"):
                client = made.client(UNIX)
                reply = await client.ask(route.method, path_of(route) + slashes, headers=JSON)
                assert reply.status == 404
                assert "without the slash" in reply.json["error"]["hint"], route.path
        nowhere = await made.client(UNIX).ask("GET", "/nix/")
    assert "slash" not in nowhere.json["error"]["hint"]


async def test_odd_queries_are_answered_by_the_name_of_what_is_wrong() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        client = made.client(UNIX)
        for route in ROUTES.api:
            # What is called without fields looks at no query.
            if route.method != "GET" or route.respond is not answer_call:
                continue
            for query in (
                "%00=1", "no=%00", "no=1", "no=1&no=2", "%ff=1", "no=%e2%82", "&".join(f"n{n}=1" for n in range(300)),
                "limit=1;limit=2", "no[]=1", "=", "=x", "no=%0d%0aX-Injected:1",
            ):  # fmt: skip
                reply = await client.ask("GET", f"{path_of(route)}?{query}")
                assert reply.status == 400, (route.path, query)
                assert told(reply)
                assert "x-injected" not in reply.headers
    assert untouched.calls == []


# Beside those of `test_gateway`; all with the right key.
HOSTS: Final = {
    f"LOCALHOST:{HOST.rpartition(':')[2]}": 200,
    "127.0.0.1.:8080": 403,
    "LocalHost.:8080": 403,
    "[::1%lo]:8080": 400,
    "[::1%25lo]:8080": 400,
    "[::1]": 403,
    "[::1]:8080]": 403,
    "::1:8080": 403,
    "[0:0:0:0:0:0:0:1]:8080": 403,
    "[::ffff:7f00:1]:8080": 403,
    "127.0.0.1:08080": 403,
    "127.0.0.1:8080:8080": 403,
    "127.0.0.1:": 403,
    "0177.0.0.1:8080": 403,
    "0x7f.0.0.1:8080": 403,
    "user@127.0.0.1:8080": 400,
    "user:127.0.0.1:8080@evil.com": 400,
    "http://127.0.0.1:8080": 400,
    "127.0.0.1:8080#": 400,
    "127.0.0.1:8080?": 400,
    "127.0.0.1\\evil.com:8080": 400,
    "127.0.0.1:8080 evil.com": 400,
    "127.0.0.1:8080,evil.com": 400,
    "xn--localhost-9ve:8080": 403,
    "localhost%2eevil.com:8080": 400,
    "127.0.0.1:8080" + "0" * 300: 400,
}


@pytest.mark.parametrize(("host", "status"), HOSTS.items())
async def test_a_host_is_one_of_ours_letter_by_letter(host: str, status: int) -> None:
    async with opened(Untouched().handlers()) as made:
        for path in ("/docs", "/api/stats", "/health"):
            assert (await made.client(TCP).ask("GET", path, headers=with_key(), host=host)).status == status, path


# Lines of a browser beside a cookie that is signed in, and what becomes of a form with its token.
FORMS: Final = {
    "ours": ({"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}, 303),
    "typed": ({"Origin": ORIGIN, "Sec-Fetch-Site": "none"}, 303),
    "capital": ({"Origin": ORIGIN, "Sec-Fetch-Site": "Same-Origin"}, 303),
    "null": ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 403),
    "null-alone": ({"Origin": "null"}, 403),
    "none-of-null": ({"Origin": "null", "Sec-Fetch-Site": "none"}, 403),
    "foreign-claims-none": ({"Origin": "http://evil.com", "Sec-Fetch-Site": "none"}, 403),
    "ours-from-elsewhere": ({"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}, 403),
    "list": ({"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin, cross-site"}, 403),
    "unknown": ({"Origin": ORIGIN, "Sec-Fetch-Site": "x"}, 403),
    "empty": ({"Origin": ORIGIN, "Sec-Fetch-Site": ""}, 403),
    "no-origin": ({"Sec-Fetch-Site": "same-origin"}, 403),
    "slash": ({"Origin": f"{ORIGIN}/"}, 403),
    "other-case": ({"Origin": ORIGIN.upper()}, 303),
    "allowed-site": ({"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}, 303),
    "embedded": ({"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"}, 403),
}


@pytest.mark.parametrize("name", FORMS)
async def test_a_form_is_taken_from_our_own_page_alone(name: str) -> None:
    lines, status = FORMS[name]
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        visitor = Visitor(made)
        fields = {"form-token": visitor.form_token, "rule": "r-1"}
        assert (await visitor.post_raw("/approvals/rules/revoke", fields, **lines)).status == status
    assert untouched.calls == (["approval.revoke"] if status == 303 else [])


async def test_a_cookie_of_another_port_opens_nothing() -> None:
    async with opened(Untouched().handlers()) as made:
        visitor = Visitor(made)
        for port in ("80", "8081", "808", "08080", "", "8080 ", "x"):
            headers = {"Cookie": f"agentgw-{port}={visitor.token}", "Accept": "text/html"}
            assert (await made.client(TCP).ask("GET", "/", headers=headers)).status == 401, port
        plain = {"Cookie": f"agentgw={visitor.token}; Agentgw-8080={visitor.token}", "Accept": "text/html"}
        assert (await made.client(TCP).ask("GET", "/", headers=plain)).status == 401


async def test_two_last_events_are_none() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        client: HttpClient = made.client(UNIX)
        lines = "Host: x\r\nLast-Event-ID: 1\r\nLast-Event-ID: 2\r\n\r\n"
        await client.stream.send_all(f"GET /api/turns/t-1/events HTTP/1.1\r\n{lines}".encode())
        assert (await client.reply()).status == 400
    assert untouched.calls == []


async def test_a_storm_of_readers_that_come_back_leaves_nothing_behind() -> None:
    """Each comes, is told something, and leaves without a word: more often than there may be at a time."""
    async with opened({**Untouched().handlers(), "turn.attach": flood}, fail_after_s=60) as made:
        for _ in range(3):
            for number in range(made.gateway.http.watchers):
                client = made.client(UNIX)
                await client.send("GET", "/api/turns/t-1/events", headers={"Last-Event-ID": str(number)})
                await client.until(b"event: ")
                await client.stream.aclose()
            await settled(made)
        assert (await made.client(UNIX).ask("GET", "/api/stats")).status == 200


async def settled(made: OpenGateway) -> None:
    await until(lambda: not made.gateway.watchers and not made.gateway.requests)
