"""Sleep and a clock that was set are told apart."""

from __future__ import annotations

import pytest

from agentgw_daemon.scheduler.clock import Passage, SystemClock, passage
from tests.scheduler.fakeclock import FakeClock


def test_time_awake_is_neither_sleep_nor_a_set_clock() -> None:
    clock = FakeClock()
    assert passage(clock.read(), clock.go_on(1e6)) == Passage(slept_s=0.0, stepped_s=0.0)


def test_sleep_is_what_only_one_clock_counts() -> None:
    clock = FakeClock()
    assert passage(clock.read(), clock.sleep(3600)) == Passage(slept_s=3600.0, stepped_s=0.0)


@pytest.mark.parametrize("seconds", [-86400.0, 86400.0 * 400])
def test_a_set_clock_is_what_only_the_wall_shows(seconds: float) -> None:
    clock = FakeClock()
    before = clock.read()
    clock.go_on(30)
    assert passage(before, clock.set(seconds)) == Passage(slept_s=0.0, stepped_s=seconds)


def test_sleep_and_a_set_clock_at_once_are_both_told() -> None:
    clock = FakeClock()
    before = clock.read()
    clock.sleep(7200)
    assert passage(before, clock.set(-3600)) == Passage(slept_s=7200.0, stepped_s=-3600.0)


def test_clocks_that_drift_by_a_second_mean_nothing() -> None:
    clock = FakeClock()
    before = clock.read()
    clock.sleep(1.5)
    assert passage(before, clock.set(-1.5)) == Passage(slept_s=0.0, stepped_s=0.0)


def test_the_machines_clocks_go_forward_together() -> None:
    clock = SystemClock()
    first, second = clock.read(), clock.read()
    assert first.wall.tzinfo is not None
    assert second.monotonic_s >= first.monotonic_s
    assert second.boottime_s >= first.boottime_s
    assert passage(first, second).slept_s == 0.0
