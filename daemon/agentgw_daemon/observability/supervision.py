"""Places where anything at all is caught, so that a bug or a stranger's byte ends one thing and never the daemon.

A nursery that lives as long as the daemon ends with the first exception raised in it, and takes everybody's turns
along. What is started in such a nursery is started through `supervised`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVarTuple

from agentgw.protocol.errors import InternalError
from agentgw_daemon.observability.log import log_unexpected

Ts = TypeVarTuple("Ts")

log = logging.getLogger(__name__)


async def supervised(doing: str, run: Callable[[*Ts], Awaitable[object]], *args: *Ts) -> None:
    """Run a task to its end. Its error becomes one entry of the log, with what it was `doing`; Cancelled passes."""
    try:
        await run(*args)
    except* Exception as group:  # noqa: BLE001 - supervision point
        log_unexpected(log, _only(group), doing)


@contextmanager
def contained(doing: str) -> Iterator[None]:
    """Catches as `supervised` does, for a piece of code that waits for nothing."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - supervision point
        log_unexpected(log, error, doing)


def internal_error(error: BaseException, where: str) -> InternalError:
    """The error that tells a client of a bug of ours, by an id. The rest is logged, once, under that id."""
    error_id = log_unexpected(log, _only(error), f"answering {where}")
    return InternalError(
        f"Internal error {error_id}", hint=f"`agentgw logs` shows it under {error_id}", error_id=error_id
    )


def _only(error: BaseException) -> BaseException:
    """The exception in groups of one: which nurseries it came through says nothing."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
