"""Questions about the times of any schedule."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agentgw_daemon.scheduler.schedules.cron import parse_cron
from agentgw_daemon.scheduler.schedules.every import parse_every
from agentgw_daemon.scheduler.schedules.refusal import ScheduleRefused
from agentgw_daemon.scheduler.schedules.schedule import (
    OnPath,
    count_between,
    described,
    distance,
    fingerprint,
    latest_upto,
    next_after,
    parse_at,
    upcoming,
)
from tests.scheduler.made import BERLIN

NOON = datetime(2027, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2027-05-01T14:00", "2027-05-01 14:00:00", "2027-05-01T12:00Z", "2027-05-01T08:00:00-04:00"]
)
def test_a_time_comes_once(text: str) -> None:
    at = parse_at(text)
    assert next_after(at, datetime(2027, 1, 1, tzinfo=UTC), BERLIN) == NOON
    assert next_after(at, NOON, BERLIN) is None
    assert latest_upto(at, NOON, BERLIN) == NOON
    assert latest_upto(at, datetime(2027, 1, 1, tzinfo=UTC), BERLIN) is None


def test_a_time_that_is_jumped_over_comes_at_the_end_of_the_jump() -> None:
    moment = next_after(parse_at("2027-03-28T02:30"), datetime(2027, 1, 1, tzinfo=UTC), BERLIN)
    assert moment == datetime(2027, 3, 28, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2027-05-01", "write 2027-05-01T09:00"),
        ("tomorrow", "write it like"),
        ("", "write it like"),
        ("09:00", "write it like"),
        ("2027-02-30T09:00", "write it like"),
        ("0001-01-01T00:00+14:00", "1970 to 9000"),
        ("9999-12-31T23:59-12:00", "1970 to 9000"),
        ("2027-05-01T25:00", "write it like"),
    ],
)
def test_what_is_no_time_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ScheduleRefused, match=reason):
        parse_at(text)


def test_a_path_has_no_times() -> None:
    on = OnPath(path=Path("/inbox"), settle_s=10)
    assert next_after(on, NOON, BERLIN) is None
    assert latest_upto(on, NOON, BERLIN) is None
    assert upcoming(on, NOON, BERLIN, 3) == ()
    assert distance(on, NOON, BERLIN) is None


def test_times_are_counted_up_to_a_bound() -> None:
    every = parse_every("10 minutes")
    assert count_between(every, NOON, NOON, BERLIN, 100) == 0
    assert count_between(every, NOON, NOON.replace(hour=15), BERLIN, 100) == 18
    assert count_between(every, NOON, NOON.replace(year=2037), BERLIN, 100) == 101


def test_the_fingerprint_is_about_the_times_and_not_how_they_are_written() -> None:
    assert fingerprint(parse_cron("@daily"), "") == fingerprint(parse_cron(" 0 0 * * * "), "")
    assert fingerprint(parse_every("every 5 minutes"), "") == fingerprint(parse_every("5 minutes"), "")
    assert fingerprint(parse_at("2027-05-01T12:00Z"), "UTC") == fingerprint(parse_at("2027-05-01T14:00+02:00"), "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (fingerprint(parse_cron("0 0 * * *"), ""), fingerprint(parse_cron("0 1 * * *"), "")),
        (fingerprint(parse_cron("0 0 * * *"), ""), fingerprint(parse_cron("0 0 * * *"), "UTC")),
        (fingerprint(parse_every("day"), ""), fingerprint(parse_every("day at 09:00"), "")),
        (fingerprint(parse_every("monday"), ""), fingerprint(parse_every("tuesday"), "")),
        (fingerprint(parse_at("2027-05-01T12:00"), "UTC"), fingerprint(parse_at("2027-05-01T12:00"), "")),
        (fingerprint(OnPath(path=Path("/a"), settle_s=1), ""), fingerprint(OnPath(path=Path("/b"), settle_s=1), "")),
    ],
)
def test_other_times_have_another_fingerprint(one: str, other: str) -> None:
    assert one != other
    assert one


def test_the_next_times_are_listed() -> None:
    assert upcoming(parse_cron("0 */6 * * *"), NOON, ZoneInfo("UTC"), 2) == (
        NOON.replace(hour=18), NOON.replace(day=2, hour=0),
    )  # fmt: skip


def test_schedules_are_shown_as_they_are_written() -> None:
    assert [
        described(schedule)
        for schedule in (
            parse_cron("@daily"), parse_every("every 2 hours"), parse_every("day at 09:00"),
            parse_at("2027-01-01T00:00"), OnPath(path=Path("/a"), settle_s=1),
        )
    ] == ["@daily", "every 2 hours", "every day at 09:00", "at 2027-01-01T00:00", "on /a"]  # fmt: skip
