"""Lines of the log that say what a daemon came up with, one for each kind of thing. `agentgw serve` shows them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agentgw import __version__

if TYPE_CHECKING:
    from agentgw_daemon.server.daemon import Daemon

log = logging.getLogger(__name__)


async def announce(daemon: Daemon) -> None:
    """Log service, provider, skills, tools and jobs; the address comes last, from whoever opens it."""
    services = daemon.services
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
    scheduler = daemon.jobs.scheduler
    await scheduler.look()
    jobs = scheduler.book.jobs.values()
    enabled = sum(job.enabled for job in jobs)
    if not scheduler.enabled:
        log.info("jobs: %d, and none is started by itself", len(jobs))
    else:
        problems = _rest(len(daemon.jobs.problems()), "cannot be used")
        log.info("jobs: %d%s%s", enabled, _rest(len(jobs) - enabled, "disabled"), problems)


def _rest(count: int, what: str) -> str:
    return f", {count} {what}" if count > 0 else ""
