"""Schedules in the human phrases of the `schedule` library, on a grid that does not depend on the daemon's start.

The library only reads the phrase: its own times are local, depend on when it is asked and know zones through pytz.
Seconds, minutes and hours are counted from ORIGIN in the zone as time that passes; days and weeks as dates.
"""

from __future__ import annotations

import difflib
import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, Literal, cast

import schedule

from agentgw.protocol.records.schema import record
from agentgw_daemon.scheduler.schedules.cron import latest_match, next_match
from agentgw_daemon.scheduler.schedules.refusal import ScheduleRefused
from agentgw_daemon.scheduler.schedules.zones import instant_of, wall_of

TimeUnit = Literal["seconds", "minutes", "hours", "days", "weeks"]

# A Monday, so that weeks begin with one.
ORIGIN: Final = datetime(2000, 1, 3)
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNITS: Final[tuple[TimeUnit, ...]] = ("seconds", "minutes", "hours", "days", "weeks")
_WORDS: Final = (*_UNITS, *(unit[:-1] for unit in _UNITS), *WEEKDAYS)
_PERIODS: Final[dict[TimeUnit, timedelta]] = {
    "seconds": timedelta(seconds=1),
    "minutes": timedelta(minutes=1),
    "hours": timedelta(hours=1),
    "days": timedelta(days=1),
    "weeks": timedelta(weeks=1),
}
# Ten years; what comes more seldom is no habit, and the arithmetic stays far from the calendar's end.
_LONGEST: Final = timedelta(days=3660)
_FORMS: Final = '"10 minutes", "hour at :15", "day at 09:00", "monday at 10:00"'
_PHRASE: Final = re.compile(r"(?:every )?(?:([0-9]{1,9}) )?([a-z]+)(?: at ([0-9:]+))?", re.ASCII)
# Other people's words for what the library says differently.
_INSTEAD: Final = {
    "daily": "day", "hourly": "hour", "weekly": "week", "minutely": "minute", "mondays": "monday",
    "tuesdays": "tuesday", "wednesdays": "wednesday", "thursdays": "thursday", "fridays": "friday",
    "saturdays": "saturday", "sundays": "sunday", "mon": "monday", "tue": "tuesday", "wed": "wednesday",
    "thu": "thursday", "fri": "friday", "sat": "saturday", "sun": "sunday", "min": "minute", "mins": "minutes",
    "sec": "second", "secs": "seconds", "hrs": "hours", "hr": "hour",
}  # fmt: skip


@record
class Every:
    """`count` units; `weekday` (Monday 0) only with weeks, `at` within the unit."""

    text: str
    count: int
    unit: TimeUnit
    weekday: int | None = None
    at: time | None = None

    def next_after(self, after: datetime, zone: tzinfo) -> datetime | None:
        """The first scheduled time after an instant."""
        try:
            if self.unit in ("days", "weeks"):
                return self._next_date(after, zone)
            if pattern := self._pattern():
                return next_match(pattern, after, zone)
            origin, period = self._grid(zone)
            return origin + ((after - origin) // period + 1) * period
        except OverflowError:
            return None

    def latest_upto(self, upto: datetime, zone: tzinfo) -> datetime | None:
        """The last scheduled time up to an instant, itself included."""
        try:
            if self.unit in ("days", "weeks"):
                return self._latest_date(upto, zone)
            if pattern := self._pattern():
                return latest_match(pattern, upto, zone)
            origin, period = self._grid(zone)
            return origin + (upto - origin) // period * period
        except OverflowError:
            return None

    def _pattern(self) -> str | None:
        """`hour at :15` as cronsim's six fields: it is about the wall clock, also where zones are half hours apart."""
        if self.unit != "hours" or self.count != 1 or self.at is None:
            return None
        return f"{self.at.second} {self.at.minute} * * * *"

    def _grid(self, zone: tzinfo) -> tuple[datetime, timedelta]:
        at = self.at or time()
        origin = ORIGIN.replace(tzinfo=zone).astimezone(UTC) + timedelta(minutes=at.minute, seconds=at.second)
        return origin, self.count * _PERIODS[self.unit]

    def _next_date(self, after: datetime, zone: tzinfo) -> datetime:
        day = self._date_upto(wall_of(after, zone).date())
        while (instant := self._on(day, zone)) <= after:
            day += self._step()
        return instant

    def _latest_date(self, upto: datetime, zone: tzinfo) -> datetime:
        # One further: the night the clocks go back over midnight, tomorrow has begun already.
        day = self._date_upto(wall_of(upto, zone).date()) + self._step()
        while (instant := self._on(day, zone)) > upto:
            day -= self._step()
        return instant

    def _on(self, day: date, zone: tzinfo) -> datetime:
        return instant_of(datetime.combine(day, self.at or time()), zone)

    def _step(self) -> timedelta:
        return self.count * _PERIODS[self.unit]

    def _date_upto(self, day: date) -> date:
        """The last date of the grid up to this one."""
        first = ORIGIN.date() + timedelta(days=self.weekday or 0)
        return day - (day - first) % self._step()


def parse_every(text: str) -> Every:
    """The phrase, read by the `schedule` library. Raises ScheduleRefused with the nearest form that it takes."""
    phrase = " ".join(text.casefold().split())
    read = _PHRASE.fullmatch(phrase)
    if read is None or read[2] not in _WORDS:
        raise ScheduleRefused(f"{text[:64]!r} is not understood; {_nearest(phrase)}")
    count = int(read[1]) if read[1] else 1
    if count < 1:
        raise ScheduleRefused(f"{text[:64]!r}: the number must be 1 or more")
    try:
        job = schedule.Scheduler().every(count)
        job = getattr(job, read[2])  # one of _WORDS, each a property of the library's job
        job = job.at(read[3]) if read[3] else job
    except schedule.ScheduleError as error:
        raise ScheduleRefused(f"{text[:64]!r}: {_first_sentence(error)}; {_nearest(phrase)}") from None
    unit = cast("TimeUnit", job.unit)
    if count > _LONGEST / _PERIODS[unit]:
        raise ScheduleRefused(f"{text[:64]!r} is more than ten years")
    weekday = WEEKDAYS.index(job.start_day) if job.start_day else None
    return Every(text=text, count=count, unit=unit, weekday=weekday, at=job.at_time)


def _nearest(phrase: str) -> str:
    """A form near the phrase that is taken, or the forms there are."""
    if re.search(r"\b(week ?days?|workdays?)\b", phrase):
        return 'for weekdays write cron_expression: "0 9 * * 1-5"'
    if " to " in phrase:
        return "for a random distance write jitter_s beside a fixed one"
    words = re.fullmatch(r"(?:every )?(?:([0-9]{1,6}) ?)?([a-z]+)(?: ?(?:at|@) ?(.+))?", phrase)
    if words is None:
        return f"write it like {_FORMS}"
    count, word, at = words[1], _INSTEAD.get(words[2], words[2]), words[3]
    near = difflib.get_close_matches(word, _WORDS, n=1, cutoff=0.6)
    if not near:
        return f"write it like {_FORMS}"
    word = near[0]
    if word not in WEEKDAYS:
        word = word.removesuffix("s") + ("s" if count and int(count) != 1 else "")
    elif count:
        return f'a weekday comes once a week: "{word}"'
    said = f"{count} {word}" if count else word
    if at:
        said += f" at {_time_like(word, at)}"
    try:
        parse_every(said)
    except (ScheduleRefused, RecursionError):
        return f"write it like {_FORMS}"
    return f'write "{said}"' if said != phrase else f"write it like {_FORMS}"


def _time_like(word: str, at: str) -> str | None:
    """A time such as 9:00, 9am or 9.30 in the library's form for the unit."""
    read = re.match(r":?([0-9]{1,2})(?:[:.h]([0-9]{2}))? ?([ap]m)?$", at.strip())
    if read is None:
        return None
    first, second = int(read[1]), int(read[2] or 0)
    if word.startswith(("hour", "minute")):
        return f":{second if read[2] else first:02}"
    hour = first % 12 + (12 if read[3] == "pm" else 0) if read[3] else first
    return f"{hour:02}:{second:02}"


def _first_sentence(error: Exception) -> str:
    # One of its messages has a placeholder that it does not fill in.
    said = " ".join(str(error).replace("{} is ", "").split()).partition(". ")[0].rstrip(".")
    return said[:1].lower() + said[1:120]
