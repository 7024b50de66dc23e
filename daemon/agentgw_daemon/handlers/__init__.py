"""One module a noun; together they answer every method of the table."""

from __future__ import annotations

from collections.abc import Mapping

from agentgw_daemon.dispatch import Handler
from agentgw_daemon.handlers import (
    approval,
    chat,
    daemon,
    embed,
    event,
    feedback,
    hello,
    ingest,
    model,
    session,
    skill,
    tool,
    turn,
)

HANDLERS: Mapping[str, Handler] = {
    name: handler
    for module in (hello, daemon, turn, approval, chat, session, feedback, skill, tool, ingest, model, embed, event)
    for name, handler in module.HANDLERS.items()
}
