"""Dispatch: from a decoded frame to a call, and from what the call gave to a response: JSON-RPC 2.0, no I/O.

jsonrpcserver matches, validates and answers; it cannot await under trio, so its methods only *bind*: each
returns a `BoundCall`, which the peer runs in its own nursery. Errors of ours are translated here and nowhere else.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from oslash.either import Left

from agentgw.protocol.errors import InvalidParams, InvalidRequest, MethodNotFound, Overloaded, RpcError
from agentgw.protocol.methods import METHODS, Method
from agentgw.protocol.records.schema import bind, dump
from agentgw.transport.framing import encode
from agentgw_daemon.server.calls.jsonrpc_library import Error, Success, create_request, dispatch_request
from agentgw_daemon.text.near import hint_for

# jsonrpcserver rejects a whole batch for one bad entry, where the specification wants an answer per entry:
# batches are split before it, and longer ones refused whole.
MAX_BATCH: Final = 100


@dataclass(slots=True)
class BoundCall:
    """A request whose parameters are bound; `id` is the client's, or NOTIFICATION."""

    row: Method
    params: Any
    id: Any


NOTIFICATION: Final = object()


class _Intake:
    """Place to leave the call, which jsonrpcserver hands to a bound method, for notifications too."""

    __slots__ = ("call",)

    def __init__(self) -> None:
        self.call: BoundCall | None = None


def _any_parameters(intake: _Intake, *args: Any, **kwargs: Any) -> None:
    """Binding is ours (the table's records), so jsonrpcserver lets everything pass."""


_SIGNATURE: Final = inspect.signature(_any_parameters)


def _adapter(row: Method) -> Callable[..., Any]:
    def adapt(intake: _Intake, *args: Any, **kwargs: Any) -> Any:
        try:
            intake.call = BoundCall(row, bind(row.params, list(args) if args else kwargs), NOTIFICATION)
        except InvalidParams as error:
            wire = error.to_wire()
            return Error(wire["code"], wire["message"], wire["data"])
        return Success(None)

    # jsonrpcserver asks for the signature at every call; reading it off the code is half of a ping.
    adapt.__signature__ = _SIGNATURE  # type: ignore[attr-defined]  # an attribute that inspect looks for
    return adapt


_ADAPTERS: Final[dict[str, Callable[..., Any]]] = {name: _adapter(row) for name, row in METHODS.items()}


def read_call(entry: Any) -> BoundCall:
    """The call that one request object makes.

    Raises `Refused`, whose response (None for a notification) is all there is to send.
    """
    _check_request(entry)
    intake = _Intake()
    # One level below jsonrpcserver's front door, which parses, splits batches and builds responses: ours differ.
    _, outcome = dispatch_request(_ADAPTERS, intake, create_request(entry))
    call = intake.call
    if call is None:
        assert isinstance(outcome, Left)
        raise Refused(_translated(entry, outcome))
    if "id" in entry:
        call.id = entry["id"]
    return call


class Refused(Exception):
    """A request that never becomes a call."""

    def __init__(self, response: dict[str, Any] | None) -> None:
        super().__init__()
        self.response = response


def _translated(entry: Mapping[str, Any], outcome: Any) -> dict[str, Any] | None:
    failed = outcome._error
    if "id" not in entry:
        return None
    if failed.code == MethodNotFound.code:
        name = entry["method"][:100]
        hint = hint_for(name, METHODS, "`rpc.discover` lists all")
        error = MethodNotFound(f"Method not found: {name}", hint=hint, method=name)
        return error_response(entry["id"], error)
    made = {"code": failed.code, "message": failed.message, "data": failed.data}
    return {"jsonrpc": "2.0", "error": made, "id": entry["id"]}


def _check_request(entry: Any) -> None:
    """JSON-RPC 2.0, section 4. The id of an invalid request cannot be trusted, so the answer has none."""
    reason = ""
    if not isinstance(entry, dict):
        reason = "not an object"
    elif entry.get("jsonrpc") != "2.0":
        reason = '`jsonrpc` must be "2.0"'
    elif not isinstance(entry.get("method"), str):
        reason = "`method` must be a string"
    elif not isinstance(entry.get("params", []), list | dict):
        reason = "`params` must be an array or an object"
    elif isinstance(entry.get("id"), bool) or not isinstance(entry.get("id"), str | int | float | None):
        reason = "`id` must be a string, a number or null"
    if reason:
        raise Refused(error_response(None, InvalidRequest(f"Invalid request: {reason}")))


def result_response(request_id: Any, result: Any) -> dict[str, Any]:
    """The response of a call that succeeded; records are written out."""
    return {"jsonrpc": "2.0", "result": dump(result), "id": request_id}


def error_response(request_id: Any, error: RpcError) -> dict[str, Any]:
    """The response of a request that failed."""
    return {"jsonrpc": "2.0", "error": error.to_wire(), "id": request_id}


def overloaded(limit: int) -> bytes:
    """The frame for a client that would make more connections than the limit."""
    error = Overloaded(f"Overloaded: {limit} connections are open", limit="connections", value=limit)
    return encode(error_response(None, error))
