"""Time at which a worker that died is started again."""

from __future__ import annotations

from agentgw_daemon.workers.supervision.restart_backoff import RestartBackoff


def test_nobody_waits_before_the_first_death() -> None:
    assert RestartBackoff(0.5).start_at() == 0.0


def test_backoff_doubles_from_half_a_second_to_thirty() -> None:
    deaths = RestartBackoff(0.5)
    waits = []
    for n in range(9):
        now = n * 1000.0
        deaths.record(now)
        waits.append(deaths.start_at() - now)
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_five_deaths_within_a_minute_are_degraded_until_the_first_is_a_minute_old() -> None:
    deaths = RestartBackoff(0.5)
    for now in (0.0, 10.0, 20.0, 30.0):
        deaths.record(now)
        assert deaths.degraded_until(now) is None
    deaths.record(40.0)
    assert deaths.degraded_until(40.0) == 60.0
    assert deaths.degraded_until(60.0) is None


def test_deaths_far_apart_are_not_degraded() -> None:
    deaths = RestartBackoff(0.5)
    for n in range(10):
        deaths.record(n * 20.0)
    assert deaths.degraded_until(180.0) is None


def test_a_request_that_goes_well_clears_the_record() -> None:
    deaths = RestartBackoff(0.5)
    for _ in range(5):
        deaths.record(1.0)
    deaths.forget()
    assert deaths.degraded_until(1.0) is None
    assert deaths.start_at() == 0.0
