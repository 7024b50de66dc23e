"""Time zones: their names, and the way between what a clock on the wall shows and the instant it shows it.

Instants are UTC, wall times are naive. A wall time that comes twice means its first instant, one that the clocks jump
over means the first instant after the jump.
"""

from __future__ import annotations

import difflib
import os
import re
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from agentgw_daemon.scheduler.schedules.refusal import ScheduleRefused

_LOCALTIME: Final = Path("/etc/localtime")
_NO_PLACE: Final = re.compile(r"[A-Z]{1,5}|([A-Za-z]{1,3})? ?[+\-]?[0-9:]+")
_ZONE_FOLDER: Final = "zoneinfo/"
# Clocks were never changed twice within this time in any zone since 1970.
_SAMPLE: Final = timedelta(hours=6)
SECOND: Final = timedelta(seconds=1)


def zone_named(name: str) -> ZoneInfo:
    """The zone of an IANA name such as Europe/Berlin. Raises ScheduleRefused."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # The names are compared folded: `europe/berlin` is the usual mistake.
        folded = {known.casefold(): known for known in available_timezones()}
        wanted = name[:64].casefold()
        # Of abbreviations and offsets the most alike is another time of day: CEST is no EST.
        near = difflib.get_close_matches(wanted, folded, n=1) if not _NO_PLACE.fullmatch(name) else []
        near = [wanted] if wanted in folded else near
        hint = f"did you mean {folded[near[0]]}?" if near else "name a place, as Europe/Berlin"
        raise ScheduleRefused(f"there is no time zone {name[:64]!r}; {hint}") from None


def local_zone(variable: str | None = None, localtime: Path = _LOCALTIME) -> ZoneInfo:
    """The zone of this machine: by the variable TZ where it names one, else by /etc/localtime, else UTC."""
    if variable and not variable.startswith(":/"):
        try:
            return zone_named(variable.removeprefix(":"))
        except ScheduleRefused:
            pass
    try:
        # The link's target says the name, its content the rules; a copy instead of a link has no name.
        name = os.path.realpath(localtime).partition(_ZONE_FOLDER)[2]
        with localtime.open("rb") as file:
            return ZoneInfo.from_file(file, key=name or None)
    except (OSError, ValueError):
        return ZoneInfo("UTC")


def offset(instant: datetime, zone: tzinfo) -> timedelta:
    """The distance by which the zone's wall clock is ahead of UTC at this instant."""
    ahead = instant.astimezone(zone).utcoffset()
    assert ahead is not None  # an aware datetime has one
    return ahead


def wall_of(instant: datetime, zone: tzinfo) -> datetime:
    """The wall clock at this instant."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def instant_of(wall: datetime, zone: tzinfo) -> datetime:
    """The first instant at which the wall clock shows this, or, where it never does, from which it shows more."""
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if wall_of(instant, zone) == wall:
        return instant
    # Jumped over: read with the offset before the jump it lies behind it, with the one after before it.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _bisected(before, instant, zone)


def first_change(after: datetime, upto: datetime, zone: tzinfo) -> datetime | None:
    """The first instant in (after, upto] from which another offset holds than before it."""
    low, known = after, offset(after, zone)
    while low < upto:
        high = min(low + _SAMPLE, upto)
        if offset(high, zone) != known:
            return _bisected(low, high, zone)
        low = high
    return None


def last_change(after: datetime, upto: datetime, zone: tzinfo) -> datetime | None:
    """The last instant in (after, upto] from which another offset holds than before it."""
    high, known = upto, offset(upto, zone)
    while after < high:
        low = max(high - _SAMPLE, after)
        if offset(low, zone) != known:
            return _bisected(low, high, zone)
        high = low
    return None


def _bisected(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """The whole second in (low, high] from which the offset of `high` holds; there is one change between them."""
    target = offset(high, zone)
    low, high = low.replace(microsecond=0), high.replace(microsecond=0)
    while high - low > SECOND:
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if offset(middle, zone) == target:
            high = middle
        else:
            low = middle
    return high
