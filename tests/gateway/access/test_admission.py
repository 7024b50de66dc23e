"""Hosts, origins and keys, where the whole table of routes does not say more."""

from __future__ import annotations

import hmac

import pytest

from agentgw_daemon.gateway.access.admission import admit, digest_of, has_key
from agentgw_daemon.gateway.http.door import Door
from agentgw_daemon.gateway.http.messages import HttpRequest
from agentgw_daemon.gateway.http.refusal import HttpRefused
from tests.gateway.harness import HOST, KEY, TCP


def asked(*headers: tuple[str, str], method: str = "GET", path: str = "/api/stats") -> HttpRequest:
    return HttpRequest(method=method, path=path, query="", headers=headers)


@pytest.mark.parametrize(
    "header", [("authorization", f"Bearer {KEY}"), ("authorization", f"bearer  {KEY} "), ("x-api-key", KEY)]
)
def test_either_header_carries_the_key(header: tuple[str, str]) -> None:
    assert admit(asked(("host", HOST), header), TCP) is None


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080"])
def test_this_machine_goes_by_its_own_names(host: str) -> None:
    assert admit(asked(("host", host), ("x-api-key", KEY)), TCP) is None


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_health_is_for_everybody_to_read_and_nothing_else(method: str) -> None:
    assert admit(asked(("host", HOST), path="/health"), TCP) is None
    with pytest.raises(HttpRefused) as refused:
        admit(asked(("host", HOST), path="/health", method=method), TCP)
    assert refused.value.status == 401


@pytest.mark.parametrize("path", ["/health/", "/health/../api/stats", "//health", "/healthz", "/%68ealth"])
def test_what_only_looks_like_health_asks_for_the_key(path: str) -> None:
    with pytest.raises(HttpRefused) as refused:
        admit(asked(("host", HOST), path=path), TCP)
    assert refused.value.status == 401


def test_a_refused_host_says_which_setting_allows_it() -> None:
    with pytest.raises(HttpRefused) as refused:
        admit(asked(("host", "agent.example:8080")), TCP)
    assert "http.allow_hosts" in refused.value.hint
    assert "agent.example:8080" in refused.value.hint


def test_a_refused_origin_says_which_setting_allows_it_and_shows_nothing_unseen() -> None:
    with pytest.raises(HttpRefused) as refused:
        admit(asked(("host", HOST), ("origin", "http://e\x1b]52;vil")), TCP)
    assert "http.allow_origins" in refused.value.hint
    assert "\x1b" not in refused.value.message


def test_a_page_of_our_own_may_call() -> None:
    own = (("host", HOST), ("origin", f"http://{HOST}"), ("sec-fetch-site", "same-origin"), ("x-api-key", KEY))
    assert admit(asked(*own), TCP) is None


def test_the_digest_of_a_key_is_what_is_compared() -> None:
    door = Door(name="tcp", hosts=frozenset((HOST,)), key_digest=digest_of("other"))
    with pytest.raises(HttpRefused):
        admit(asked(("host", HOST), ("x-api-key", KEY)), door)
    assert admit(asked(("host", HOST), ("x-api-key", "other")), door) is None


@pytest.mark.parametrize(
    "bearer", [None, "k", KEY[:1], KEY[:-1], f"{KEY[:-1]}x", f"x{KEY[1:]}", f"{KEY}x", KEY, "\xe9" * 999]
)
@pytest.mark.parametrize("key", [None, "k", KEY[:-1], KEY])
def test_a_key_takes_the_same_comparisons_whatever_it_begins_with(
    bearer: str | None, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both headers, each by its digest, by the comparison that reads to the end."""
    compared: list[tuple[int, bytes]] = []

    def compare(given: bytes, known: bytes) -> bool:
        compared.append((len(given), known))
        return given == known

    monkeypatch.setattr(hmac, "compare_digest", compare)
    lines = [("host", HOST)]
    lines += [("authorization", f"Bearer {bearer}")] if bearer is not None else []
    lines += [("x-api-key", key)] if key is not None else []
    assert has_key(asked(*lines), TCP) is (KEY in (bearer, key))
    assert compared == [(32, digest_of(KEY))] * 2
