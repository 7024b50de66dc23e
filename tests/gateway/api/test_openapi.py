"""The table of routes for programs and for people."""

from __future__ import annotations

from typing import Any

import pytest

from agentgw_daemon.gateway.api.openapi import openapi
from agentgw_daemon.gateway.serving import ROUTES
from tests.gateway.harness import opened


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_every_route_is_described_with_its_fields_and_errors() -> None:
    document = openapi(ROUTES.api)
    for route in ROUTES.api:
        operation = document["paths"][route.path][route.method.lower()]
        assert operation["summary"]
        in_path = {part[1:-1] for part in route.parts if part.startswith("{")}
        described = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert described == in_path
        assert ("requestBody" in operation) == (route.body != "none")


def test_references_lead_to_what_is_there() -> None:
    document = openapi(ROUTES.api)
    assert references(document) == {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


def test_a_message_is_required_where_it_is() -> None:
    paths = openapi(ROUTES.api)["paths"]
    run = paths["/api/run"]["post"]
    assert run["requestBody"]["content"]["application/json"]["schema"]["required"] == ["message"]
    assert run["x-other-names"] == {"skill_name": "skill"}
    assert paths["/health"]["get"]["security"] == []


@pytest.mark.anyio
async def test_both_are_served_and_load_nothing_from_elsewhere() -> None:
    async with opened({}) as made:
        client = made.client()
        document = await client.ask("GET", "/openapi.json")
        assert document.json["openapi"].startswith("3.")
        page = (await client.ask("GET", "/docs")).body.decode()
    for route in ROUTES.api:
        assert f"{route.method} {route.path}" in page
    assert "://" not in page
    assert "<script" not in page
