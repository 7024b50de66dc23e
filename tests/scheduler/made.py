"""Jobs and times for tests, as short as they can be said."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from agentgw_daemon.scheduler.file.entries import JobsFileContents, read_entries
from agentgw_daemon.scheduler.job import Job
from agentgw_daemon.scheduler.schedules.cron import parse_cron
from agentgw_daemon.scheduler.schedules.schedule import Schedule, upcoming

BERLIN = ZoneInfo("Europe/Berlin")
HOME = Path("/home/me")
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
EIGHT = datetime(2026, 11, 2, 8, tzinfo=UTC)


def job(name: str = "a", schedule: Schedule | str = "*/10 * * * *", **settings: Any) -> Job:
    made = parse_cron(schedule) if isinstance(schedule, str) else schedule
    return Job(name=name, message="hello", schedule=made, line=1, **settings)


def contents(text: str) -> JobsFileContents:
    return read_entries(text, home=HOME, zone=BERLIN)


def times(schedule: Schedule, after: str, count: int, zone: ZoneInfo = BERLIN) -> list[str]:
    """The next times after a wall time of the zone, as its wall clock shows them."""
    start = datetime.fromisoformat(after).replace(tzinfo=zone)
    return [found.astimezone(zone).isoformat() for found in upcoming(schedule, start, zone, count)]
