"""Cron: five-field expressions, matched by cronsim against wall clocks, and the instants they mean in a zone.

cronsim is only ever asked about naive wall times; the way from them to instants is ours, so that it is the same
whatever the search began with. As Debian's cron does, an expression whose minutes and hours are both given comes once
on each matching day: later where the clocks jump over it, the first time where it comes twice. Any other comes
whenever the wall clock matches, which is not at all or twice in these hours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

from cronsim import CronSim, CronSimError

from agentgw.protocol.records.schema import record
from agentgw_daemon.scheduler.schedules.refusal import ScheduleRefused
from agentgw_daemon.scheduler.schedules.zones import SECOND, first_change, instant_of, last_change, offset, wall_of

NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# Every minute of an hour by itself takes 170 characters.
_MOST_CHARACTERS: Final = 256
_A_DATE: Final = datetime(2000, 1, 1)
# A search that goes further than FAR goes on NEAR its end: no change of the clocks in between can matter.
_DAY: Final = timedelta(days=1)
_NEAR: Final = timedelta(days=2)
_FAR: Final = timedelta(days=4)
# Each round gets past a change of the clocks or near the end; a zone has two changes a year.
_MOST_ROUNDS: Final = 32
# Clocks were never set back further than this since 1970, but for days left out or had twice at the date line.
_LONGEST_FOLD: Final = timedelta(hours=3)
# A plan is made anew after each decision, and asks the same of every job but one; a search takes a hundred times as
# long as remembering what it found.
_REMEMBERED: Final = 1024


@record
class Cron:
    """A five-field expression. `fields` is it without nicknames."""

    text: str
    fields: str

    def next_after(self, after: datetime, zone: tzinfo) -> datetime | None:
        """The first scheduled time after an instant of UTC; None when none comes within 50 years."""
        find = next_fixed if self._fixed() else next_match
        return find(self.fields, after, zone)

    def latest_upto(self, upto: datetime, zone: tzinfo) -> datetime | None:
        """The last scheduled time up to an instant, itself included."""
        find = latest_fixed if self._fixed() else latest_match
        return find(self.fields, upto, zone)

    def _fixed(self) -> bool:
        minutes, hours = self.fields.split()[:2]
        return not minutes.startswith("*") and not hours.startswith("*")


def parse_cron(text: str) -> Cron:
    """The expression as written, checked. Raises ScheduleRefused."""
    if len(text) > _MOST_CHARACTERS:
        raise ScheduleRefused(f"a cron expression has at most {_MOST_CHARACTERS} characters")
    fields = " ".join(text.split())
    if fields.startswith("@"):
        fields = _of_nickname(fields)
    count = len(fields.split())
    if count != 5:
        raise ScheduleRefused(
            f"a cron expression has five fields (minute hour day month weekday), not {count}: {text[:64]!r}"
        )
    try:
        never = next(CronSim(fields, _A_DATE), None) is None
    except CronSimError as error:
        raise ScheduleRefused(f"{_reason(error)} in {text[:64]!r}") from None
    if never:
        raise ScheduleRefused(f"{text[:64]!r} never comes")
    return Cron(text=text, fields=fields)


def _of_nickname(text: str) -> str:
    name = text.casefold()
    if name == "@reboot":
        raise ScheduleRefused("@reboot is no time; jobs start by the clock or by a path that changed")
    if name not in NICKNAMES:
        near = difflib.get_close_matches(name, NICKNAMES, n=1, cutoff=0)[0]
        raise ScheduleRefused(f"{text[:64]!r} is none of {', '.join(NICKNAMES)}; the nearest is {near}")
    return NICKNAMES[name]


def _reason(error: CronSimError) -> str:
    said = str(error)
    return said[:1].lower() + said[1:]


@lru_cache(_REMEMBERED)
def next_fixed(fields: str, after: datetime, zone: tzinfo) -> datetime | None:
    """The first instant after `after` that one of the matching wall times means."""
    for wall in _walls(fields, wall_of(after, zone)):
        # Within an hour that comes twice the wall times that follow may have been already.
        if (instant := instant_of(wall, zone)) > after:
            return instant
    return None


@lru_cache(_REMEMBERED)
def latest_fixed(fields: str, upto: datetime, zone: tzinfo) -> datetime | None:
    """The last instant up to `upto` that one of the matching wall times means."""
    # After the clocks were set back, wall times that show later than this one have been already.
    back = max(offset(upto - _LONGEST_FOLD, zone) - offset(upto, zone), timedelta())
    for wall in _walls(fields, wall_of(upto, zone) + back, reverse=True):
        if (instant := instant_of(wall, zone)) <= upto:
            return instant
    return None


@lru_cache(_REMEMBERED)
def next_match(fields: str, after: datetime, zone: tzinfo) -> datetime | None:
    """The first instant after `after` at which the wall clock matches."""
    for _ in range(_MOST_ROUNDS):
        # Matches are whole seconds: what holds a second later holds for all that can be found.
        ahead = offset(after + SECOND, zone)
        wall = next(_walls(fields, after.replace(tzinfo=None) + ahead), None)
        if wall is None:
            return None
        found = (wall - ahead).replace(tzinfo=after.tzinfo)
        if found - after > _FAR and first_change(after + SECOND, after + _DAY, zone) is None:
            after = found - _NEAR
            continue
        change = first_change(after + SECOND, found, zone) if found > after + SECOND else None
        if change is None:
            return found
        after = change - SECOND
    return None


@lru_cache(_REMEMBERED)
def latest_match(fields: str, upto: datetime, zone: tzinfo) -> datetime | None:
    """The last instant up to `upto` at which the wall clock matches."""
    for _ in range(_MOST_ROUNDS):
        ahead = offset(upto, zone)
        wall = next(_walls(fields, upto.replace(tzinfo=None) + ahead, reverse=True), None)
        if wall is None:
            return None
        found = (wall - ahead).replace(tzinfo=upto.tzinfo)
        if upto - found > _FAR and last_change(upto - _DAY, upto, zone) is None:
            upto = found + _NEAR
            continue
        change = last_change(found, upto, zone)
        if change is None:
            return found
        upto = change - SECOND
    return None


def _walls(fields: str, wall: datetime, *, reverse: bool = False) -> Iterator[datetime]:
    """Matching wall times after `wall`, or from it backwards with itself; ends after 50 years without one."""
    # Backwards a fraction of a second makes the whole second count; cronsim drops it otherwise.
    start = wall.replace(microsecond=1 if reverse else 0)
    try:
        yield from CronSim(fields, start, reverse=reverse)
    except (OverflowError, ValueError):
        return  # the calendar of Python ends
