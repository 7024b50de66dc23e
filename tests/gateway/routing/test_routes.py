"""Paths and their routes."""

from __future__ import annotations

import pytest

from agentgw.protocol.methods import METHODS
from agentgw.protocol.records.schema import fields_of
from agentgw_daemon.gateway.http.messages import HttpRequest
from agentgw_daemon.gateway.http.refusal import HttpRefused
from agentgw_daemon.gateway.serving import ROUTES


def asked(method: str, path: str) -> HttpRequest:
    return HttpRequest(method=method, path=path, query="", headers=())


def test_a_name_in_the_path_takes_what_stands_there_decoded() -> None:
    found = ROUTES.find(asked("GET", "/api/sessions/s-1%2Fx%C3%A4/messages"))
    assert (found.route.calls, found.values) == ("session.messages", {"session_id": "s-1/xä"})


@pytest.mark.parametrize(
    "path",
    ["", "/api", "/api/", "/api/skills/", "//api/skills", "/API/skills", "/api/sessions//messages", "/api/../docs"],
)
def test_another_path_leads_nowhere(path: str) -> None:
    with pytest.raises(HttpRefused) as refused:
        ROUTES.find(asked("GET", path))
    assert refused.value.status == 404


def test_a_method_that_the_path_does_not_take_is_answered_with_those_it_does() -> None:
    with pytest.raises(HttpRefused) as refused:
        ROUTES.find(asked("PUT", "/api/documents"))
    assert (refused.value.status, refused.value.headers) == (405, (("allow", "DELETE, GET"),))


@pytest.mark.parametrize("route", ROUTES.routes, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_calls_a_method_that_exists_by_fields_that_it_has(route: object) -> None:
    assert not route.calls or route.calls in METHODS
    fields = {field.name for field in fields_of(METHODS[route.calls].params)} if route.calls else set()
    assert {name for name in route.names.values() if name} <= fields
    in_path = {part[1:-1] for part in route.parts if part.startswith("{")}
    # What a page does with its path is its own affair.
    assert route.page or {route.names.get(name, name) for name in in_path} <= fields


def test_no_two_routes_are_the_same() -> None:
    rows = [(route.method, route.path) for route in ROUTES.routes]
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("name", ["a%00", "%0d%0aX:y", "%1b", "%7f", "a\x7f"])
def test_a_name_in_the_path_has_no_control_character(name: str) -> None:
    with pytest.raises(HttpRefused) as caught:
        ROUTES.find(asked("GET", f"/session/{name}"))
    assert (caught.value.status, caught.value.name) == (400, "PathMalformed")
