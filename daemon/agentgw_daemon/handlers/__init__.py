"""One module a noun; together they answer every method of the table."""

from __future__ import annotations

from collections.abc import Mapping

from agentgw_daemon.dispatch import Handler
from agentgw_daemon.handlers import chat, daemon, event, hello, model, session, skill, turn

HANDLERS: Mapping[str, Handler] = {
    name: handler
    for module in (hello, daemon, turn, chat, session, skill, model, event)
    for name, handler in module.HANDLERS.items()
}
