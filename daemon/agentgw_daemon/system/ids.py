"""Identifiers and times as the database and the wire write them."""

from __future__ import annotations

import datetime
import secrets
import threading
import time
from typing import Final, Literal

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u; sorts as its values do
_TIME_DIGITS: Final = 9  # 45 bits of milliseconds last until the year 3084
_RANDOM_DIGITS: Final = 9  # 45 bits, and every reader is the same user anyway


class _Clock:
    """Gives pairs that only ever grow, also within one millisecond and when the system's clock steps back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = (0, 0)

    def next(self) -> tuple[int, int]:
        with self._lock:
            at = time.time_ns() // 1_000_000
            last_at, last_random = self._last
            # The top bit stays free, so that counting up within a millisecond cannot overflow.
            self._last = (at, secrets.randbits(5 * _RANDOM_DIGITS - 1)) if at > last_at else (last_at, last_random + 1)
            return self._last


_clock = _Clock()


def new_id(prefix: Literal["s", "t", "m", "a", "r", "c", "d", "e"]) -> str:
    """A new identifier, such as `t-1kabcdefg012345678`: sorts by the time it was made within one process."""
    at, random = _clock.next()
    return f"{prefix}-{_digits(at, _TIME_DIGITS)}{_digits(random, _RANDOM_DIGITS)}"


def _digits(value: int, count: int) -> str:
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(5 * (count - 1), -1, -5))


def now() -> str:
    """The time as RFC 3339 in UTC with milliseconds."""
    return time_text(time.time())


def time_text(seconds: float) -> str:
    """A time in seconds since 1970 as RFC 3339 in UTC with milliseconds."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(text: str) -> float:
    """Seconds since 1970 of what `time_text` made."""
    return datetime.datetime.fromisoformat(text).timestamp()


def file_stamp(*, fraction: bool = False) -> str:
    """The time for a file's name, in UTC to the second or the microsecond; sorts as time does."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S%fZ" if fraction else "%Y%m%dT%H%M%SZ")
