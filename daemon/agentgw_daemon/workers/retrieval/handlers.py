"""Handlers of a worker by the kind of request. Each role adds its own; see `worker`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from agentgw_daemon.workers.protocol.codec import ReplyPart, WorkerReply, WorkerRequest

R = TypeVar("R", bound=WorkerRequest)


class Refusal(Exception):
    """The request cannot be done: `kind` as of `retrieval.Failed`; the text is for a person."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


class RequestTask(Protocol):
    """One request while it is worked on."""

    @property
    def cancelled(self) -> bool:
        """Tells whether nobody waits any more. Look between steps, and raise Refusal("cancelled", "") then."""

    def emit(self, part: ReplyPart) -> None:
        """Send a piece of the answer."""


class Handlers:
    """Handlers, one for each kind of request. They run one at a time, in the main thread.

    A handler gives the reply or raises Refusal; anything else that it raises ends the process.
    """

    def __init__(self) -> None:
        self._handlers: dict[type[WorkerRequest], Callable[[Any, RequestTask], WorkerReply]] = {}

    def add(self, kind: type[R], handler: Callable[[R, RequestTask], WorkerReply]) -> None:
        """Answer requests of this kind by `handler`."""
        if kind in self._handlers:
            raise TypeError(f"{kind.__name__} has a handler already")
        self._handlers[kind] = handler

    def answer(self, request: WorkerRequest, task: RequestTask) -> WorkerReply:
        """The reply to a request. Raises Refusal."""
        handler = self._handlers.get(type(request))
        if handler is None:
            raise Refusal("invalid", f"this worker does not answer {type(request).__name__}")
        return handler(request, task)
