from __future__ import annotations

import pytest

from agentgw_daemon.inference.hosting.rate import WINDOW_S, Rate


def test_it_is_the_rate_of_the_last_seconds() -> None:
    rate = Rate()
    assert rate.now(1000.0) == 0
    for step in range(1, 200):
        rate.add(5, 1000 + step * 0.05)
    assert rate.now(1010.0) == pytest.approx(100, rel=0.1)
    for step in range(1, 200):
        rate.add(1, 1010 + step * 0.05)
    assert rate.now(1020.0) == pytest.approx(20, rel=0.1)


def test_it_falls_to_nothing_when_nothing_comes() -> None:
    rate = Rate()
    rate.add(5, 1000.0)
    assert rate.now(1000.0 + WINDOW_S) == 0


def test_a_stream_that_has_just_begun_is_not_measured_over_the_whole_window() -> None:
    rate = Rate()
    for step in range(11):
        rate.add(1, 1000 + step * 0.1)
    assert rate.now(1001.0) == pytest.approx(11)


def test_texts_at_one_moment_are_a_finite_rate() -> None:
    rate = Rate()
    rate.add(3, 1000.0)
    assert 0 < rate.now(1000.0) < 100


def test_the_last_answer_is_remembered() -> None:
    rate = Rate()
    assert rate.last == 0
    rate.end(50, 0.5)
    rate.end(0, 0.0)
    assert rate.last == 100
