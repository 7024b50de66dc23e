"""Scheduled times that have come, and until when their runs may begin."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentgw_daemon.scheduler.planning.times import Due, beginning, counted, due, first_after, latest_start, starts_at
from agentgw_daemon.scheduler.schedules.every import parse_every
from agentgw_daemon.scheduler.schedules.schedule import At, next_after
from tests.scheduler.made import BERLIN, EIGHT, job


def at(minute: float) -> datetime:
    return EIGHT + timedelta(minutes=minute)


def test_nothing_is_due_before_its_time() -> None:
    assert due(job(), at(10), at(9.99), BERLIN) is None


def test_of_many_times_the_last_is_due() -> None:
    assert due(job(), at(10), at(10), BERLIN) == Due(first=at(10), slot=at(10), starts_at=at(10))
    assert due(job(), at(10), at(45), BERLIN) == Due(first=at(10), slot=at(40), starts_at=at(40))


def test_jitter_is_the_same_each_time_and_another_for_each_job_and_time() -> None:
    jittered = [job(f"j{number}", jitter_s=300.0) for number in range(50)]
    starts = [starts_at(one, at(10), BERLIN) for one in jittered]
    assert starts == [starts_at(one, at(10), BERLIN) for one in jittered]
    assert all(at(10) <= start < at(15) for start in starts)
    assert len(set(starts)) == 50
    assert max(starts) - min(starts) > timedelta(seconds=150)
    assert starts_at(jittered[0], at(20), BERLIN) - at(20) != starts[0] - at(10)


@given(minutes=st.floats(0, 600), jitter_s=st.sampled_from([0.0, 30.0, 300.0, 86_400.0]))
@settings(max_examples=100, deadline=None)
def test_jitter_keeps_the_order_and_what_is_due_has_begun(minutes: float, jitter_s: float) -> None:
    one, now = job(jitter_s=jitter_s), at(minutes)
    found = due(one, at(10), now, BERLIN)
    if found is None:
        assert starts_at(one, at(10), BERLIN) > now
        return
    assert found.starts_at == starts_at(one, found.slot, BERLIN) <= now
    following = next_after(one.schedule, found.slot, BERLIN)
    assert following is not None
    assert starts_at(one, following, BERLIN) > now


def test_times_are_counted_with_both_ends_and_up_to_a_hundred() -> None:
    assert counted(job(), at(10), at(10), BERLIN) == (1, False)
    assert counted(job(), at(10), at(40), BERLIN) == (4, False)
    assert counted(job(), at(10), at(1000), BERLIN) == (100, False)
    assert counted(job(), at(10), at(1010), BERLIN) == (100, True)


@pytest.mark.parametrize(
    ("settings", "noticed", "minutes"),
    [
        ({}, False, None),
        ({"misfire": "skip"}, False, 1),
        ({"misfire": "skip"}, True, None),
        ({"grace_s": 600.0}, False, 10),
        ({"grace_s": 600.0}, True, 10),
        ({"grace_s": 600.0, "misfire": "skip"}, False, 10),
        ({"grace_s": 0.0}, True, 1),
    ],
)
def test_how_late_a_run_may_be(settings: dict[str, object], noticed: bool, minutes: int | None) -> None:
    expected = at(minutes) if minutes is not None else None
    assert latest_start(job(**settings), EIGHT, noticed=noticed) == expected


def test_a_new_job_is_owed_nothing_but_a_single_time_after_it_was_written() -> None:
    once = job(schedule=At(text="", instant=at(-5)))
    assert beginning(job(), EIGHT, at(-60)) == EIGHT
    assert first_after(once, beginning(once, EIGHT, at(-60)), BERLIN) == at(-5)
    assert first_after(once, beginning(once, EIGHT, at(-1)), BERLIN) is None
    assert first_after(once, beginning(once, EIGHT, None), BERLIN) is None
    assert beginning(once, EIGHT, at(60)) == EIGHT


def test_what_is_due_after_ten_years_is_found_without_going_through_them() -> None:
    every = job(schedule=parse_every("second"))
    now = EIGHT + timedelta(days=3652)
    assert due(every, EIGHT, now, BERLIN) == Due(first=EIGHT, slot=now, starts_at=now)
