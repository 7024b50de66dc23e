"""Input and output of checks. Values only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Literal

from agentgw.protocol.calls.daemon import HttpStatus
from agentgw.protocol.calls.documents import Reembedding, WatchedFolder
from agentgw.protocol.calls.jobs import JobProblem
from agentgw.protocol.calls.webhooks import WebhookList
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Model, Skill
from agentgw_daemon.config.load import Config
from agentgw_daemon.lifecycle.started import Started
from agentgw_daemon.storage.file.presence import WrittenBack
from agentgw_daemon.workers.protocol.retrieval import Embedder

Severity = Literal["ok", "info", "warning", "error"]


@record
class DoctorContext:
    """The running daemon as the checks see it; `app` fills it in.

    `check_database` gives SQLite's own complaints and raises RpcError when the database cannot be read.
    `models` is called in trio's thread, `skills` and `db_bytes` in any; `embedder` raises ModelUnavailable.
    """

    started: Started
    config: Config
    check_database: Callable[[], Awaitable[Iterable[str]]]
    db_bytes: Callable[[], int]
    written_back: Callable[[], Iterable[WrittenBack]]
    models: Callable[[], Iterable[Model]]
    skills: Callable[[], Iterable[Skill]]
    embedder: Callable[[], Awaitable[Embedder]]
    jobs_file: str
    job_problems: Callable[[], Iterable[JobProblem]]
    watched: Callable[[], Iterable[WatchedFolder]]
    webhooks: Callable[[], Awaitable[WebhookList]]
    # The file that holds secrets and that others may read, if it is so.
    webhooks_exposed: Callable[[], str | None]
    http: HttpStatus | None
    reembedding: Callable[[], Reembedding | None]
    # Turns with their sessions.
    fatal_turns: Callable[[], Awaitable[tuple[tuple[str, str], ...]]]


@record
class Verdict:
    """One thing a check has to say."""

    severity: Severity
    message: str
    fix: str | None = None


def fine(message: str) -> Verdict:
    """A finding of a thing that is as it should be."""
    return Verdict(severity="ok", message=message)


def info(message: str, fix: str | None = None) -> Verdict:
    """Good to know."""
    return Verdict(severity="info", message=message, fix=fix)


def warning(message: str, fix: str | None = None) -> Verdict:
    """Works now, may not later or not well."""
    return Verdict(severity="warning", message=message, fix=fix)


def error(message: str, fix: str | None = None) -> Verdict:
    """A finding of a thing that does not work."""
    return Verdict(severity="error", message=message, fix=fix)
