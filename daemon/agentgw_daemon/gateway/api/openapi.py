"""The table of routes as an OpenAPI document, from the records of the methods that they call. Does no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from agentgw import __version__
from agentgw.protocol.methods import METHODS
from agentgw.protocol.records.schema import fields_of, schema_of
from agentgw_daemon.gateway.access.admission import KEYLESS_PATH
from agentgw_daemon.gateway.http.refusal import STATUS_OF
from agentgw_daemon.gateway.routing.routes import Route
from agentgw_daemon.server.calls.openrpc import event_name, result_schema

OPENAPI_VERSION: Final = "3.1.0"

_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "integer", "description": "as on the socket, or the status of a refusal"},
                "name": {"type": "string"},
                "message": {"type": "string", "description": "what happened"},
                "hint": {"type": "string", "description": "what to do next"},
                "data": {"type": "object"},
            },
            "required": ["code", "name", "message"],
        }
    },
    "required": ["error"],
}


def openapi(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": OPENAPI_VERSION,
        "info": {"title": "agentgw", "version": __version__, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
        "security": [{"bearer": []}, {"x-api-key": []}],
    }


def field_names(route: Route) -> dict[str, str]:
    """Fields of the route's method that its path does not give, each by the name that the API prefers."""
    if not route.calls:
        return {}
    in_path = {route.names.get(part[1:-1], part[1:-1]) for part in route.parts if part.startswith("{")}
    preferred = {name: name for name in (field.name for field in fields_of(METHODS[route.calls].params))}
    return {name: shown for name, shown in preferred.items() if name not in in_path}


def other_names(route: Route) -> dict[str, str]:
    """Other names of fields, without those that stand in the path."""
    in_path = {part[1:-1] for part in route.parts if part.startswith("{")}
    return {given: name for given, name in route.names.items() if given not in in_path and name}


def _operation(route: Route) -> dict[str, Any]:
    made: dict[str, Any] = {"summary": route.doc, "responses": _responses(route)}
    parameters = [
        {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string"}}
        for part in route.parts
        if part.startswith("{")
    ]
    if route.calls:
        schema = schema_of(METHODS[route.calls].params)
        wanted = {name: schema["properties"][name] for name in field_names(route)}
        required = [name for name in schema.get("required", ()) if name in wanted]
        if route.body == "none":
            parameters += [
                {"name": name, "in": "query", "required": name in required and not other_names(route), "schema": one}
                for name, one in wanted.items()
            ]
        else:
            made["requestBody"] = _body(wanted, required, route)
        made["x-method"] = route.calls
    if parameters:
        made["parameters"] = parameters
    if other_names(route):
        made["x-other-names"] = other_names(route)
    if route.path == KEYLESS_PATH:
        made["security"] = []
    return made


def _body(properties: dict[str, Any], required: list[str], route: Route) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required and not route.streams:
        schema["required"] = required
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if route.body == "upload":
        content["application/octet-stream"] = {}
    return {"required": bool(required), "content": content}


def _responses(route: Route) -> dict[str, Any]:
    method = METHODS.get(route.calls)
    good: dict[str, Any] = {"description": "it happened"}
    if route.streams and method is not None:
        events = [event_name(event) for event in method.events]
        good = {
            "description": f"the events {', '.join(events)}, then result or error",
            "content": {"text/event-stream": {}},
        }
    elif method is not None:
        good["content"] = {"application/json": {"schema": result_schema(method)}}
    made = {"200": good, "default": {"description": "refused", "content": _error_content()}}
    for error in method.errors if method is not None else ():
        made[str(STATUS_OF[error])] = {"description": error.title, "content": _error_content()}
    return made


def _error_content() -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
