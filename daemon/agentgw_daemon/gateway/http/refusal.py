"""Failures as HTTP answers: requests that are refused, and errors of calls. Does no I/O.

The body of all of them is `{"error": {"code", "name", "message", "hint", "data"}}`. An error of a call keeps the code
that it has on the socket; a refusal has its HTTP status as its code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agentgw.protocol import errors as e
from agentgw_daemon.gateway.http.messages import Headers, HttpAnswer, json_answer
from agentgw_daemon.text.secrets import Secrets

# One status a class. 401 is about keys and 403 about Host and Origin only, so a refused approval is a conflict.
STATUS_OF: Final[Mapping[type[e.RpcError], int]] = {
    e.ParseError: 400,
    e.InvalidRequest: 400,
    e.MethodNotFound: 404,
    e.InvalidParams: 400,
    e.InternalError: 500,
    e.NotFound: 404,
    e.AlreadyExists: 409,
    e.SessionBusy: 409,
    e.Overloaded: 429,
    e.ContextOverflow: 422,
    e.ModelUnavailable: 503,
    e.WorkerDied: 502,
    e.ToolFailed: 502,
    e.TurnCancelled: 409,
    e.VersionMismatch: 409,
    e.ShuttingDown: 503,
    e.ApprovalDenied: 409,
    e.SchemaUnmet: 422,
    e.StorageUnavailable: 503,
    e.Timeout: 504,
}
# Errors that pass by themselves, soon.
_PASSING: Final = (e.Overloaded, e.ShuttingDown)


class HttpRefused(Exception):
    """A request that is answered without being carried out."""

    def __init__(self, status: int, name: str, message: str, *, hint: str = "", headers: Headers = ()) -> None:
        super().__init__(message)
        self.status = status
        self.name = name
        self.message = message
        self.hint = hint
        self.headers = headers


def refused_answer(refused: HttpRefused) -> HttpAnswer:
    """The answer to a request that was refused."""
    error = {"code": refused.status, "name": refused.name, "message": refused.message}
    if refused.hint:
        error["hint"] = refused.hint
    return json_answer({"error": error}, refused.status, refused.headers)


def error_answer(error: e.RpcError, secrets: Secrets) -> HttpAnswer:
    """The answer to a call that failed, without anything that is secret."""
    status = STATUS_OF[type(error)] if type(error) in STATUS_OF else _inherited(error)
    value = secrets.redact_value({"error": error_value(error)})
    return json_answer(value, status, (("retry-after", "1"),) if isinstance(error, _PASSING) else ())


def error_value(error: e.RpcError) -> dict[str, Any]:
    """The error as the body of an answer and the last event of a stream have it."""
    made: dict[str, Any] = {"code": error.code, "name": _name_of(error), "message": error.message}
    if error.hint:
        made["hint"] = error.hint
    if error.data:
        made["data"] = error.data
    return made


def _inherited(error: e.RpcError) -> int:
    """The status of the class that it is a kind of."""
    return next((status for kind, status in STATUS_OF.items() if isinstance(error, kind)), 500)


def _name_of(error: e.RpcError) -> str:
    return next(kind.__name__ for kind in (*e.RPC_ERRORS, e.RpcError) if isinstance(error, kind))
