"""Lines of the log that say what a daemon came up with, one for each kind of thing. `agentgw serve` shows them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agentgw import __version__

if TYPE_CHECKING:
    from agentgw_daemon.services import Services

log = logging.getLogger(__name__)


def announce(services: Services) -> None:
    """Log service, provider, skills and tools; the address comes last, from whoever opens it."""
    log.info("service initialised: agentgw %s, SQLite %s", __version__, services.database.opened.sqlite_version)
    model = services.models.default_name()
    if model is None:
        log.info("provider: none yet; agentgw pull gives a model")
    else:
        log.info("provider: %s, model %s", services.models.provider_of(model), model)
    skills = services.skills.listing()
    usable = services.skills.usable()
    log.info("skills loaded: %d%s", len(usable), _rest(len(skills) - len(usable), "cannot be used"))
    tools = services.tools
    log.info("tools registered: %d%s", len(tools.current), _rest(len(tools.problems), "cannot be used"))


def _rest(count: int, what: str) -> str:
    return f", {count} {what}" if count > 0 else ""
