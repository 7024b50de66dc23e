"""A clock that tests move: through sleep, over years, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from agentgw_daemon.scheduler.clock import ClockReading


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, wall: datetime = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)) -> None:
        self.wall = wall
        self.monotonic_s = 1000.0
        self.boottime_s = 5000.0

    def read(self) -> ClockReading:
        return ClockReading(wall=self.wall, monotonic_s=self.monotonic_s, boottime_s=self.boottime_s)

    def go_on(self, seconds: float) -> ClockReading:
        """Time passes while the machine is awake."""
        self.monotonic_s += seconds
        return self.sleep(seconds)

    def sleep(self, seconds: float) -> ClockReading:
        """Time passes while the machine sleeps."""
        self.boottime_s += seconds
        return self.set(seconds)

    def set(self, seconds: float) -> ClockReading:
        """Sets the clock on the wall, back where it is negative."""
        self.wall += timedelta(seconds=seconds)
        return self.read()
