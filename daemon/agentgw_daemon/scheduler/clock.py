"""The one source of time of everything that is scheduled, and how much of it was sleep or a clock being set."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from agentgw.protocol.records.schema import record
from agentgw_daemon.lifecycle.process import boottime

# Two clocks that are read one after the other differ by microseconds; a machine under load may stop between them.
_NOISE_S: Final = 5.0


@record
class ClockReading:
    """The three clocks at one moment.

    `wall` is UTC and may be set by anybody. `monotonic_s` stands still while the machine sleeps, `boottime_s` goes on.
    """

    wall: datetime
    monotonic_s: float
    boottime_s: float


class Clock(Protocol):
    """Gives the time. Tests bring one that jumps years."""

    def read(self) -> ClockReading:
        """The three clocks at this moment."""


class SystemClock:
    """The clocks of the machine."""

    def read(self) -> ClockReading:
        """The three clocks at this moment."""
        return ClockReading(wall=datetime.now(UTC), monotonic_s=time.monotonic(), boottime_s=boottime())


@record
class Passage:
    """Time between two readings: how long the machine slept, how far the wall clock was set (back: negative)."""

    slept_s: float
    stepped_s: float


def passage(before: ClockReading, after: ClockReading) -> Passage:
    """The time that passed between two readings of one process; differences too small to mean anything are 0."""
    elapsed = after.boottime_s - before.boottime_s
    slept = elapsed - (after.monotonic_s - before.monotonic_s)
    stepped = (after.wall - before.wall - timedelta(seconds=elapsed)).total_seconds()
    return Passage(slept_s=_unless_noise(slept), stepped_s=_unless_noise(stepped))


def _unless_noise(seconds: float) -> float:
    return seconds if abs(seconds) > _NOISE_S else 0.0
