"""Times of the wire for people: on the clock of whoever reads them."""

from __future__ import annotations


def local(moment: str | None) -> str:
    """The time as date, hour and minute here; nothing for no time, and what is no time as it is."""
    if not moment:
        return ""
    from datetime import datetime

    try:
        # Not strftime, to which the year 900 has three digits.
        return datetime.fromisoformat(moment).astimezone().replace(tzinfo=None).isoformat(" ", "minutes")
    except (ValueError, OverflowError, OSError):
        return moment


def utc(moment: float) -> str:
    """The time in seconds since 1970 as the wire has it."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
