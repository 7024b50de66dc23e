"""Handlers of every method of the table, one module a noun."""

from __future__ import annotations

from collections.abc import Mapping

from agentgw_daemon.server.calls.request import Handler
from agentgw_daemon.server.handlers import (
    approval,
    chat,
    daemon,
    document,
    embed,
    event,
    feedback,
    hello,
    ingest,
    job,
    model,
    session,
    skill,
    tool,
    turn,
    web,
    webhook,
)

_MODULES = (
    hello, daemon, turn, approval, chat, session, feedback, document, skill, tool, ingest, job, model, embed,
    webhook, web, event,
)  # fmt: skip
HANDLERS: Mapping[str, Handler] = {name: handler for module in _MODULES for name, handler in module.HANDLERS.items()}
