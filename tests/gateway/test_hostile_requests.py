"""Every route against bodies, paths, cookies and framing that somebody has made up: refused, and nothing happens.

Hosts, origins and keys are walked in `test_gateway`, which has what this needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from agentgw_daemon.gateway.access.admission import KEYLESS_PATH
from agentgw_daemon.gateway.routing.routes import Route
from agentgw_daemon.gateway.serving import ROUTES
from tests.gateway.harness import HOST, KEY, TCP, OpenGateway, opened
from tests.gateway.pages.harness import ORIGIN, Visitor
from tests.gateway.untouched import Untouched, path_of

pytestmark = pytest.mark.anyio

WITH_KEY: Final = (f"Host: {HOST}", f"Authorization: Bearer {KEY}")
JSON: Final = "Content-Type: application/json"
FORM: Final = "Content-Type: application/x-www-form-urlencoded"

# No JSON of ours, each for another reason.
JUNK: Final = {
    "nothing": b" ",
    "cut": b'{"message": "x"',
    "nan": b'{"message": NaN}',
    "infinite": b'{"message": 1e999}',
    "deep": b'{"message": ' + b"[" * 70 + b"]" * 70 + b"}",
    "very-deep": b"[" * 100_000,
    "half-a-pair": b'{"message": "\\ud800"}',
    "twice": b'{"message": "a", "message": "b"}',
    "long-number": b'{"message": ' + b"9" * 5000 + b"}",
    "not-utf-8": b'{"message": "\xff"}',
    "utf-16": '{"message": "x"}'.encode("utf-16"),
    "bom": b'\xef\xbb\xbf{"message": "x"}',
    "list": b"[{}]",
    "text": b'"message"',
    "null": b"null",
    "two": b'{"message": "x"}{}',
}
# Of a session that is signed in, so that nothing but the form is wrong; the statuses that refuse them.
WRONG_FORMS: Final = {
    "no-token": ("message=x", 403),
    "other-token": ("message=x&form-token=" + "0" * 64, 403),
    "token-twice": ("form-token={token}&form-token={token}", 400),
    "token-in-query": ("message=x&token={token}", 403),
    "half-a-character": ("message=%ff&form-token={token}", 400),
    "not-ascii": ("message=\xe9&form-token={token}", 400),
    "nul": ("message=%00&form-token={token}", 400),
    "many": ("&".join(f"f{n}=x" for n in range(300)) + "&form-token={token}", 400),
    "given-twice": ("message=a&message=b&form-token={token}", 400),
}
# Heads that two readers may read in two ways, or that no reader should take; behind a request line and a good key.
WRONG_FRAMING: Final = {
    "both-lengths": b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "two-lengths": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "negative": b"Content-Length: -2\r\n\r\n{}",
    "plus": b"Content-Length: +2\r\n\r\n{}",
    "hexadecimal": b"Content-Length: 0x2\r\n\r\n{}",
    "huge": b"Content-Length: " + b"9" * 30 + b"\r\n\r\n{}",
    "odd-encoding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "compressed-chunks": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "space-before-colon": b"Content-Length : 2\r\n\r\n{}",
    "nul-in-a-value": b"X-Some: a\0b\r\n\r\n",
    "no-name": b": x\r\n\r\n",
    "long-line": b"X-Some: " + b"x" * 17_000 + b"\r\n\r\n",
    "long-cookie": b"Cookie: " + b"a=b; " * 4_000 + b"\r\n\r\n",
    "many-lines": b"X: y\r\n" * 5_000 + b"\r\n",
    "a-megabyte": b"X-Some: " + b"x" * (1 << 20) + b"\r\n\r\n",
}


def crooked(path: str, *, named_last: bool) -> Iterator[str]:
    """Ways to write a path that a reader who tidies up would take for it."""
    tail = path[1:]
    yield f"/{path}"
    yield f"/.{path}"
    yield f"/x/..{path}"
    yield f"/%2e{path}"
    yield f"/x/%2e%2e{path}"
    yield f"/%2f{tail}"
    yield f"\\{tail}"
    yield f"{path}%00"
    yield f"{path}%0d%0aX:y"
    yield f"{path}\x7f"
    yield f"{path}%ff"
    yield f"{path}%c0%af"
    yield f"HTTP://evil.com{path}"
    yield f"evil.com:80{path}"
    yield "*"
    if tail and not named_last:
        # A name may be anything that can be read.
        yield f"{path};x"
        yield f"/{tail.upper()}"
    if tail:
        yield f"{path}/"


def request(route: Route, *lines: str, target: str = "", body: bytes = b"", version: str = "1.1") -> bytes:
    head = "\r\n".join((f"{route.method} {target or path_of(route)} HTTP/{version}", *lines, "", ""))
    return head.encode("latin-1") + body


async def status_of(made: OpenGateway, raw: bytes) -> int:
    """Status of the one answer, after which the connection is dropped."""
    client = made.client(TCP)
    await client.stream.send_all(raw)
    reply = await client.reply()
    await client.stream.aclose()
    return reply.status


def changing() -> Iterator[Route]:
    return (route for route in ROUTES.routes if route.method != "GET")


async def test_junk_in_the_place_of_json_is_refused_by_every_route_that_takes_some() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        for route in changing():
            if route.page:
                continue
            for name, body in JUNK.items():
                lines = (*WITH_KEY, JSON, f"Content-Length: {len(body)}")
                assert await status_of(made, request(route, *lines, body=body)) == 400, (route.path, name)
    assert untouched.calls == []


async def test_a_body_larger_than_allowed_is_refused_by_every_route_before_it_comes() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        for route in changing():
            if route.body == "upload":
                # Those have a limit of their own.
                continue
            kind = FORM if route.body == "form" else JSON
            lines = (*WITH_KEY, kind, f"Content-Length: {10 << 30}")
            assert await status_of(made, request(route, *lines)) == 413, route.path
    assert untouched.calls == []


async def test_a_form_that_is_not_whole_or_not_ours_is_refused_by_every_page() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        visitor = Visitor(made)
        signed_in = (f"Host: {HOST}", f"Cookie: {visitor.cookie['Cookie']}", f"Origin: {ORIGIN}", FORM)
        for route in changing():
            if route.body != "form":
                continue
            for name, (form, status) in WRONG_FORMS.items():
                body = form.replace("{token}", visitor.form_token).encode("latin-1")
                lines = (*signed_in, f"Content-Length: {len(body)}")
                assert await status_of(made, request(route, *lines, body=body)) == status, (route.path, name)
    assert untouched.calls == []


async def test_a_form_of_ours_without_an_origin_or_with_another_session_is_refused_by_every_page() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        visitor, other = Visitor(made), Visitor(made)
        cookie = f"Cookie: {visitor.cookie['Cookie']}"
        for route in changing():
            if not route.page:
                continue
            for lines, token in (((), visitor.form_token), ((f"Origin: {ORIGIN}",), other.form_token)):
                kind = FORM if route.body == "form" else "Content-Type: application/octet-stream"
                body = f"form-token={token}".encode()
                more = (f"Host: {HOST}", cookie, kind, f"X-Form-Token: {token}", f"Content-Length: {len(body)}", *lines)
                assert await status_of(made, request(route, *more, body=body)) == 403, (route.path, lines)
    assert untouched.calls == []


async def test_a_cookie_is_no_key_for_any_route_of_programs() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        visitor = Visitor(made)
        junk = ("a", "a=b; " * 500, f"agentgw-8080={KEY}", f"agentgw-8080={visitor.token}; agentgw-8080=x", "=;=;\xff")
        cookies = (visitor.cookie["Cookie"], *junk)
        for route in ROUTES.api:
            if route.path == KEYLESS_PATH:
                continue
            for cookie in cookies:
                body = b"{}" if route.method == "POST" else b""
                more = (JSON, f"Content-Length: {len(body)}") if body else ()
                raw = request(route, f"Host: {HOST}", f"Cookie: {cookie}", *more, body=body)
                assert await status_of(made, raw) == 401, (route.path, cookie[:40])
    assert untouched.calls == []


async def test_a_path_that_only_looks_like_that_of_a_route_leads_to_none() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        for route in ROUTES.routes:
            for target in crooked(path_of(route), named_last=route.parts[-1].startswith("{")):
                status = await status_of(made, request(route, *WITH_KEY, target=target))
                assert status in (400, 404, 405), (route.path, target, status)
    assert untouched.calls == []


async def test_a_head_that_can_be_read_in_two_ways_ends_the_connection_on_every_route() -> None:
    untouched = Untouched()
    behind = f"GET /api/stats HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
    async with opened(untouched.handlers()) as made:
        for number, route in enumerate(ROUTES.routes):
            for at, (name, more) in enumerate(WRONG_FRAMING.items()):
                if len(more) > 10_000 and (number + at) % 5:
                    # Refused before anybody has looked for the route.
                    continue
                client = made.client(TCP)
                raw = request(route, *WITH_KEY, JSON)[:-2] + more + behind
                made.nursery.start_soon(client.send_some, raw)
                said = await client.rest()
                assert said.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501")), (route.path, name, said[:100])
                # What was behind it is nobody's request.
                assert said.count(b"HTTP/1.1 ") == 1, (route.path, name)
    assert untouched.calls == []


async def test_old_clients_without_a_host_and_what_follows_a_refusal_get_nowhere() -> None:
    untouched = Untouched()
    async with opened(untouched.handlers()) as made:
        for route in ROUTES.routes:
            old = request(route, WITH_KEY[1], version="1.0")
            assert await status_of(made, old) == 400, route.path
            if route.path == KEYLESS_PATH:
                continue
            client = made.client(TCP)
            await client.stream.send_all(request(route, f"Host: {HOST}") + b"\x00\x01 junk\r\n\r\n" + request(route))
            said = await client.rest()
            assert said.startswith(b"HTTP/1.1 401 "), (route.path, said[:100])
            assert said.count(b"HTTP/1.1 ") <= 2, route.path
    assert untouched.calls == []
