"""The cookie of a session as browsers send it, and as others may."""

from __future__ import annotations

import pytest

from agentgw_daemon.gateway.access.cookie import session_cookie, session_of
from agentgw_daemon.gateway.http.messages import HttpRequest


def asked(*cookies: str, host: str = "127.0.0.1:8080") -> HttpRequest:
    headers = (("host", host), *(("cookie", cookie) for cookie in cookies))
    return HttpRequest(method="GET", path="/", query="", headers=headers)


@pytest.mark.parametrize("cookies", [("agentgw-8080=t",), ("a=b; agentgw-8080=t; c",), ("a=b", "agentgw-8080=t")])
def test_it_is_found_among_others(cookies: tuple[str, ...]) -> None:
    assert session_of(asked(*cookies)) == "t"


@pytest.mark.parametrize(
    "cookies", [(), ("agentgw-80=t",), ("agentgw=t",), ("agentgw-8080=t; agentgw-8080=u",), ("agentgw-8080",), ("=t",)]
)
def test_none_that_is_ours_alone_is_none(cookies: tuple[str, ...]) -> None:
    assert session_of(asked(*cookies)) == ""


@pytest.mark.parametrize("host", ["localhost", "[::1]", "agent.example", "[::1]:٣"])
def test_without_a_port_in_host_it_is_that_of_http(host: str) -> None:
    assert session_of(asked("agentgw-80=t", host=host)) == "t"


def test_scripts_and_other_sites_do_not_get_it() -> None:
    name, value = session_cookie(asked(), "t")
    assert name == "set-cookie"
    assert value == "agentgw-8080=t; Path=/; HttpOnly; SameSite=Strict"
    assert session_cookie(asked(), "")[1].endswith("; Max-Age=0")
