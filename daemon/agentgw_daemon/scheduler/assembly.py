"""Makes the jobs of a daemon from its parts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agentgw_daemon.scheduler.clock import SystemClock
from agentgw_daemon.scheduler.jobs import Jobs
from agentgw_daemon.scheduler.running import system_bus
from agentgw_daemon.scheduler.running.book import JobsBook
from agentgw_daemon.scheduler.running.interactive import InteractiveUse
from agentgw_daemon.scheduler.running.needs import Surroundings, file_looks
from agentgw_daemon.scheduler.running.scheduler import JobScheduler
from agentgw_daemon.scheduler.schedules.zones import local_zone

if TYPE_CHECKING:
    import trio

    from agentgw_daemon.scheduler.notifying import JobListener
    from agentgw_daemon.services import Services
    from agentgw_daemon.turns.manager import Turns


def make_jobs(services: Services, turns: Turns, nursery: trio.Nursery, listener: JobListener | None = None) -> Jobs:
    """The jobs of this daemon; their runs live in the nursery, and `listener` hears of each one's end."""
    started, database = services.started, services.database
    use = InteractiveUse(turns.find)
    home = Path(started.environ.get("HOME") or "/")
    book = JobsBook(Path(started.jobs_file), home=home, zone=partial(local_zone, started.environ.get("TZ")))

    async def idle() -> bool | None:
        # Where nobody knows of the sessions, the daemon's own turns decide.
        return use.is_idle and await system_bus.is_user_away() is not False

    surroundings = Surroundings({**file_looks(), "unmetered": system_bus.is_unmetered, "idle": idle})
    scheduler = JobScheduler(
        book, database.jobs, turns, services.hub, surroundings, nursery, clock=SystemClock(),
        limit=services.settings.scheduler.max_running, keep_days=services.settings.scheduler.keep_days,
        enabled=started.scheduler and services.settings.scheduler.enabled, listener=listener,
    )  # fmt: skip
    return Jobs(scheduler, database.jobs, services.hub, use)
