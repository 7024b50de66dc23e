"""The contract's tables as an OpenRPC document: what `rpc.discover` answers. Does no I/O."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any, Final

from agentgw import PROTOCOL, __version__
from agentgw.protocol.errors import RPC_ERRORS, RpcError
from agentgw.protocol.events import EVENTS
from agentgw.protocol.methods import METHODS, Method
from agentgw.protocol.records.schema import fields_of, schema_of

OPENRPC_VERSION: Final = "1.3.2"

# Beside the payload of every `turn.*` notification.
TURN_ENVELOPE: Final[dict[str, dict[str, Any]]] = {
    "turn_id": {"type": "string", "description": "the turn"},
    "session_id": {"type": "string", "description": "its session"},
    "seq": {"type": "integer", "minimum": 1, "description": "1, 2, 3 … without holes"},
}

# Results that are no record.
_PLAIN_RESULTS: Final[dict[str, dict[str, Any]]] = {
    "ping": {"const": "pong"},
    "rpc.discover": {"type": "object", "description": "this document"},
}


def event_schema(event: type) -> dict[str, Any]:
    """JSON Schema of a notification's `params`, envelope included."""
    schema = schema_of(event)
    if not event_name(event).startswith("turn."):
        return schema
    return {
        **schema,
        "properties": {**TURN_ENVELOPE, **schema["properties"]},
        "required": [*TURN_ENVELOPE, *schema.get("required", ())],
    }


def result_schema(method: Method) -> dict[str, Any]:
    """JSON Schema of a method's `result`."""
    return _PLAIN_RESULTS[method.name] if method.result is None else schema_of(method.result)


def event_name(event: type) -> str:
    """The notification's method name."""
    name: str = event.method  # type: ignore[attr-defined]  # every record of EVENTS has it
    return name


@cache
def openrpc() -> dict[str, Any]:
    """The whole document; made once, not to be changed by the caller.

    OpenRPC has no word for notifications to the client: they are under `x-notifications`, and each method
    names its own under the same key.
    """
    return {
        "openrpc": OPENRPC_VERSION,
        "info": {
            "title": "agentgw",
            "version": __version__,
            "description": "One JSON-RPC 2.0 message a line over a Unix stream socket.",
            "license": {"name": "Apache-2.0"},
            "x-protocol": PROTOCOL,
        },
        "methods": [_method(method) for method in METHODS.values()],
        "x-notifications": [_notification(event) for event in EVENTS],
        "components": {"errors": {error.__name__: _error(error) for error in RPC_ERRORS}},
    }


def _method(method: Method) -> dict[str, Any]:
    schema = schema_of(method.params)
    return {
        "name": method.name,
        "summary": method.doc,
        "paramStructure": "either",
        "params": [_param(field.name, field.required, schema) for field in fields_of(method.params)],
        "result": {"name": "result", "schema": result_schema(method)},
        "errors": [{"$ref": f"#/components/errors/{error.__name__}"} for error in method.errors],
        "x-notifications": [event_name(event) for event in method.events],
    }


def _param(name: str, required: bool, schema: dict[str, Any]) -> dict[str, Any]:
    described = schema["properties"][name]
    param = {"name": name, "required": required, "schema": described}
    if "description" in described:
        param["description"] = described["description"]
    return param


def _notification(event: type) -> dict[str, Any]:
    return {"name": event_name(event), "summary": inspect.getdoc(event), "params": event_schema(event)}


def _error(error: type[RpcError]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "code": error.code,
        "message": error.title,
        "x-summary": inspect.getdoc(error),
        "x-exit-status": error.exit_status,
    }
    if error.data_fields:
        made["data"] = dict(error.data_fields)
    return made
