"""Numbers and times as pages show them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")
_THOUSAND: Final = 1000.0
# Below this a decimal says something.
_FEW: Final = 10


def size(count: float | None) -> str:
    """A number of bytes, `12 MB`."""
    if count is None:
        return ""
    value, unit = float(count), 0
    while value >= _THOUSAND and unit + 1 < len(_UNITS):
        value, unit = value / _THOUSAND, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit and value < _FEW else f"{value:.0f} {_UNITS[unit]}"


def amount(count: int, thing: str) -> str:
    """A number of things, `1 turn` or `2 turns`."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def lines(numbers: tuple[int, ...]) -> str:
    """The first and the last line of a passage, `lines 3–5`."""
    first, last = numbers[0], numbers[-1]
    return f"line {first}" if first == last else f"lines {first}–{last}"


def moment(when: str | None, now: datetime | None = None) -> str:
    """A time of the wire as how long ago it was, or will be; the date where that says more."""
    if not when:
        return ""
    try:
        then = datetime.fromisoformat(when)
    except ValueError:
        return when
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    shown = _span(abs(seconds))
    if not shown:
        return f"{then:%Y-%m-%d %H:%M} UTC"
    if shown == "now":
        return shown
    return f"{shown} ago" if seconds > 0 else f"in {shown}"


def clock(when: str, now: datetime | None = None) -> str:
    """A time of the wire as a clock on this machine shows it, with the date where that is another one."""
    try:
        then = datetime.fromisoformat(when).astimezone()
    except ValueError:
        return when
    is_today = then.date() == (now or datetime.now(UTC)).astimezone().date()
    return f"{then:%H:%M %Z}" if is_today else f"{then:%Y-%m-%d %H:%M %Z}"


def span(seconds: float) -> str:
    """A length of time by its two largest units."""
    minutes = int(seconds // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else "less than a minute"


def parts_of(text: str) -> list[tuple[str, bool]]:
    """A message cut at its backticks, each part with whether it stands between two of them."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return [(text, False)]
    return [(part, at % 2 == 1) for at, part in enumerate(parts) if part]


def _span(seconds: float) -> str:
    for bound, unit, name in ((60, 1, ""), (3600, 60, "min"), (86400, 3600, "h"), (7 * 86400, 86400, "d")):
        if seconds < bound:
            return f"{int(seconds // unit)} {name}" if name else "now"
    return ""
