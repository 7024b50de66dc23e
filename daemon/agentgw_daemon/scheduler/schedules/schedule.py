"""The closed set of schedules, in words, and questions about the times they give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import assert_never

from agentgw.protocol.records.schema import record
from agentgw_daemon.knowledge.sources import shown
from agentgw_daemon.scheduler.schedules.cron import Cron
from agentgw_daemon.scheduler.schedules.every import Every
from agentgw_daemon.scheduler.schedules.refusal import ScheduleRefused
from agentgw_daemon.scheduler.schedules.zones import instant_of


@record
class At:
    """Schedule of a single time. `wall` where it was written without an offset: then the job's zone says which
    instant it is.
    """

    text: str
    instant: datetime | None = None
    wall: datetime | None = None

    def when(self, zone: tzinfo) -> datetime:
        """The instant."""
        if self.instant is not None:
            return self.instant
        assert self.wall is not None  # parse_at sets one of the two
        return instant_of(self.wall, zone)


@record
class OnPath:
    """Schedule by changes: a file, or something in a folder, changed and then stayed still for `settle_s`."""

    path: Path
    settle_s: float


Schedule = Cron | Every | At | OnPath


def parse_at(text: str) -> At:
    """An ISO time with a date. Raises ScheduleRefused."""
    written = text.strip()
    try:
        moment = datetime.fromisoformat(written)
        if len(written) <= 10:
            raise ScheduleRefused(f"{text[:64]!r} has no time of day; write {moment:%Y-%m-%d}T09:00")
        # Far from the calendar's ends, so that no zone carries it over one of them.
        if not 1970 <= moment.year <= 9000:
            raise ScheduleRefused(f"{text[:64]!r}: the year must be from 1970 to 9000")
        if moment.tzinfo is not None:
            return At(text=text, instant=moment.astimezone(UTC))
    except ScheduleRefused:
        raise
    except (ValueError, OverflowError):
        raise ScheduleRefused(f"{text[:64]!r} is no time; write it like 2027-05-01T09:00 or with +02:00") from None
    return At(text=text, wall=moment)


def next_after(schedule: Schedule, after: datetime, zone: tzinfo) -> datetime | None:
    """The first scheduled time after an instant; None where none comes, and for paths."""
    match schedule:
        case Cron() | Every():
            # Their arithmetic is that of UTC; a datetime in another zone is reckoned by its wall clock.
            return schedule.next_after(after.astimezone(UTC), zone)
        case At():
            when = schedule.when(zone)
            return when if when > after else None
        case OnPath():
            return None
        case _:
            assert_never(schedule)


def latest_upto(schedule: Schedule, upto: datetime, zone: tzinfo) -> datetime | None:
    """The last scheduled time up to an instant, itself included; None where there was none, and for paths."""
    match schedule:
        case Cron() | Every():
            return schedule.latest_upto(upto.astimezone(UTC), zone)
        case At():
            when = schedule.when(zone)
            return when if when <= upto else None
        case OnPath():
            return None
        case _:
            assert_never(schedule)


def count_between(schedule: Schedule, after: datetime, upto: datetime, zone: tzinfo, most: int) -> int:
    """The number of scheduled times in (after, upto]; `most` + 1 where there are more than `most`."""
    count = 0
    while count <= most:
        found = next_after(schedule, after, zone)
        if found is None or found > upto:
            break
        after, count = found, count + 1
    return count


def upcoming(schedule: Schedule, after: datetime, zone: tzinfo, count: int) -> tuple[datetime, ...]:
    """The next scheduled times after an instant, at most `count`."""
    found: list[datetime] = []
    while len(found) < count and (moment := next_after(schedule, after, zone)) is not None:
        found.append(moment)
        after = moment
    return tuple(found)


def fingerprint(schedule: Schedule, zone_name: str) -> str:
    """A text that is the same exactly as long as the schedule means the same; `zone_name` is "" for the machine's."""
    match schedule:
        case Cron():
            return f"cron {schedule.fields} {zone_name}".rstrip()
        case Every():
            parts = (str(schedule.count), schedule.unit, str(schedule.weekday), str(schedule.at), zone_name)
            return f"every {' '.join(parts)}".rstrip()
        case At():
            moment = schedule.instant or schedule.wall
            assert moment is not None
            return f"at {moment.isoformat()} {zone_name if schedule.wall else ''}".rstrip()
        case OnPath():
            return f"on {schedule.path}"
        case _:
            assert_never(schedule)


def described(schedule: Schedule) -> str:
    """A schedule as its entry has it, with the word that it has there."""
    match schedule:
        case Cron():
            return schedule.text
        case Every():
            return schedule.text if schedule.text.startswith("every") else f"every {schedule.text}"
        case At():
            return f"at {schedule.text}"
        case OnPath():
            return f"on {shown(str(schedule.path))}"
        case _:
            assert_never(schedule)


def distance(schedule: Schedule, slot: datetime, zone: tzinfo) -> timedelta | None:
    """The time from a scheduled time to the next one."""
    following = next_after(schedule, slot, zone)
    return following - slot if following is not None else None
