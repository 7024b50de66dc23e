"""Signing in by a code, what a cookie opens, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from agentgw_daemon.gateway.http.connection import HttpConnection
from agentgw_daemon.gateway.serving import PAGES
from tests.gateway.harness import TCP, opened, with_key
from tests.gateway.pages.harness import ORIGIN, Visitor, text_of

pytestmark = pytest.mark.anyio


def nothing(request: Any, params: Any) -> None:
    raise AssertionError("called")


async def test_a_code_is_exchanged_for_a_cookie_and_leaves_the_address() -> None:
    async with opened({}) as made:
        client = made.client(TCP)
        target = f"/sign-in?code={made.gateway.sign_ins.make_code()}"
        reply = await client.ask("GET", target, headers={"Sec-Fetch-Site": "none"})
        assert reply.status == 200
        assert reply.headers["set-cookie"].startswith("agentgw-8080=")
        assert 'content="0; url=/"' in reply.body.decode()
        again = await client.ask("GET", target)
        assert (again.status, "set-cookie" in again.headers) == (401, False)


@pytest.mark.parametrize("query", ["", "code=", "code=x", "code=x&code=y", "x=y", f"code={'c' * 9000}", "code=%ff%00"])
async def test_what_is_no_code_is_refused_like_everything_else(query: str) -> None:
    async with opened({}) as made:
        client = made.client(TCP)
        reply = await client.ask("GET", f"/sign-in?{query}")
        other = await client.ask("GET", "/api/stats")
    assert (reply.status, reply.body) == (other.status, other.body)


async def test_a_code_is_not_used_up_by_head_by_a_stranger_or_from_another_site(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened({}) as made:
        client = made.client(TCP)
        target = f"/sign-in?code={made.gateway.sign_ins.make_code()}"
        assert (await client.ask("HEAD", target)).status == 401
        assert (await client.ask("GET", target, headers={"Sec-Fetch-Site": "cross-site"})).status == 403
        with monkeypatch.context() as patched:
            patched.setattr(HttpConnection, "is_strangers", lambda self: True)
            assert (await client.ask("GET", target)).status == 401
        assert (await client.ask("GET", target)).status == 200


async def test_a_cookie_opens_pages_and_nothing_else() -> None:
    async with opened({"stats.get": nothing}) as made:
        visitor = Visitor(made)
        assert (await visitor.get("/docs")).status == 200
        assert (await visitor.get("/api/stats")).status == 401
        assert (await visitor.get("/metrics")).status == 401
        assert (await visitor.get("/docs", Cookie="agentgw-8080=guess")).status == 401
        assert (await visitor.get("/health")).status == 200


async def test_another_users_program_has_no_use_for_the_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened({}) as made:
        visitor = Visitor(made)
        monkeypatch.setattr(HttpConnection, "is_strangers", lambda self: True)
        assert (await visitor.get("/docs")).status == 401


async def test_without_a_cookie_a_browser_is_told_how_to_sign_in() -> None:
    async with opened({}) as made:
        client = made.client(TCP)
        pages = [await client.ask("GET", path, headers={"Accept": "text/html"}) for path in ("/", "/nix")]
    assert [page.status for page in pages] == [401, 401]
    assert "agentgw web --open" in text_of(pages[0])
    assert pages[0].body == pages[1].body
    assert "script" not in pages[0].headers["content-security-policy"]


async def test_a_refused_host_tells_a_browser_which_setting_allows_it() -> None:
    async with opened({}) as made:
        headers = {"Accept": "text/html"}
        page = await made.client(TCP).ask("GET", "/", host="agent.example:8080", headers=headers)
    assert page.status == 403
    assert 'allow_hosts = ["agent.example:8080"]' in text_of(page)


async def test_signing_out_ends_the_session() -> None:
    async with opened({}) as made:
        visitor = Visitor(made)
        reply = await visitor.post("/sign-out", {})
        assert (reply.status, reply.headers["location"]) == (303, "/")
        assert "Max-Age=0" in reply.headers["set-cookie"]
        assert (await visitor.get("/docs")).status == 401


async def test_a_form_needs_our_origin_and_the_token_of_its_session() -> None:
    async with opened({}) as made:
        for route in PAGES:
            if route.body != "form":
                continue
            path = "/".join("x" if part.startswith("{") else part for part in route.path.split("/"))
            visitor, other = Visitor(made), Visitor(made)
            fields = {"form-token": visitor.form_token, "message": "x"}
            assert (await visitor.post_raw(path, fields)).status == 403, path
            assert (await visitor.post_raw(path, {"message": "x"}, Origin=ORIGIN)).status == 403, path
            foreign = {**fields, "form-token": other.form_token}
            assert (await visitor.post_raw(path, foreign, Origin=ORIGIN)).status == 403, path
            assert (await visitor.post_raw(path, fields, Origin="http://evil.com")).status == 403, path
            assert (await visitor.post_raw(path, fields, Origin="null")).status == 403, path


async def test_with_the_key_a_page_opens_too_and_a_form_still_needs_its_token() -> None:
    async with opened({}) as made:
        client = made.client(TCP)
        assert (await client.ask("GET", "/docs", headers=with_key())).status == 200
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": ORIGIN}
        reply = await client.ask("POST", "/sign-out", headers=with_key(**kind), body=b"x=y")
        assert reply.status == 403
