"""Cron expressions: what is taken, and which instants they mean where clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentgw_daemon.scheduler.schedules.cron import NICKNAMES, parse_cron
from agentgw_daemon.scheduler.schedules.refusal import ScheduleRefused
from agentgw_daemon.scheduler.schedules.zones import wall_of
from tests.scheduler.made import BERLIN, times
from tests.scheduler.zones import BEGINNINGS, ZONES

EXPRESSIONS = (
    "30 2 * * *", "*/15 2 * * *", "0 * * * *", "0 0 * * *", "*/7 */3 * * *", "15,45 1-3 * * 0", "0 */2 * * *",
    "* 0 * * *", "0-59 2 * * *", "*/30 * 1,15 * *", "59 23 * * *",
)  # fmt: skip


def test_a_given_time_that_the_clocks_jump_over_comes_at_the_end_of_the_jump() -> None:
    assert times(parse_cron("30 2 * * *"), "2027-03-27T12:00", 2) == [
        "2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00",
    ]  # fmt: skip


def test_an_hourly_time_leaves_out_the_hour_that_is_jumped_over() -> None:
    assert times(parse_cron("0 * * * *"), "2027-03-28T00:30", 2) == [
        "2027-03-28T01:00:00+01:00", "2027-03-28T03:00:00+02:00",
    ]  # fmt: skip


def test_a_given_time_in_the_hour_that_comes_twice_comes_once() -> None:
    assert times(parse_cron("30 2 * * *"), "2026-10-24T12:00", 2) == [
        "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00",
    ]  # fmt: skip


def test_a_repeated_time_in_the_hour_that_comes_twice_comes_in_both() -> None:
    found = times(parse_cron("*/15 2 * * *"), "2026-10-25T00:00", 9)
    assert found[0] == "2026-10-25T02:00:00+02:00"
    assert found[7] == "2026-10-25T02:45:00+01:00"
    assert found[8] == "2026-10-26T02:00:00+01:00"


@pytest.mark.parametrize("name", NICKNAMES)
def test_nicknames_are_what_cron_says_they_are(name: str) -> None:
    assert times(parse_cron(name.upper()), "2027-01-01T12:00", 3) == times(
        parse_cron(NICKNAMES[name]), "2027-01-01T12:00", 3
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "five fields"),
        ("* * * *", "not 4"),
        ("0 * * * * *", "not 6"),
        ("60 * * * *", "bad minute"),
        ("0 24 * * *", "bad hour"),
        ("0 0 31 2 *", "bad day-of-month"),
        ("0 0 * * FUN", "bad day-of-week"),
        ("*/0 * * * *", "bad minute"),
        ("٣ * * * *", "bad minute"),
        ("0 0 * * ²L", "bad day-of-week"),
        ("@dayly", "the nearest is @daily"),
        ("@", "none of"),
        ("@reboot", "no time"),
        ("1," * 200 + "1 * * * *", "at most 256"),
        ("0 9 * * 1; rm", "not 6"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ScheduleRefused, match=reason):
        parse_cron(text)


def test_spaces_and_tabs_between_the_fields_do_not_matter() -> None:
    assert parse_cron("  0\t9  * * mon-fri ").fields == "0 9 * * mon-fri"


@given(st.text(alphabet="0123456789*/,-#LWMONJAN @", max_size=40))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        found = parse_cron(text)
    except ScheduleRefused:
        return
    moment = datetime(2026, 10, 25, 0, 45, tzinfo=UTC)
    later = found.next_after(moment, BERLIN)
    assert later is None or later > moment
    earlier = found.latest_upto(moment, BERLIN)
    assert earlier is None or earlier <= moment


@given(
    zone=st.sampled_from(ZONES),
    fields=st.sampled_from(EXPRESSIONS),
    start=st.sampled_from(BEGINNINGS),
    offset=st.floats(0, 5 * 86400),
)
@example(zone="Australia/Lord_Howe", fields="*/10 5 * * *", start=BEGINNINGS[2], offset=86400.0)
@settings(max_examples=150, deadline=None)
def test_the_next_and_the_last_time_are_the_same_wherever_one_begins(
    zone: str, fields: str, start: datetime, offset: float
) -> None:
    schedule, where, moment = parse_cron(fields), ZoneInfo(zone), start + timedelta(seconds=offset)
    following, last = schedule.next_after(moment, where), schedule.latest_upto(moment, where)
    assert following is not None
    assert last is not None
    assert last <= moment < following
    # Nothing lies between them, and each is found from the other and from itself.
    assert schedule.next_after(last, where) == following
    assert schedule.latest_upto(following, where) == following
    assert schedule.latest_upto(following - timedelta(microseconds=1), where) == last


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("start", BEGINNINGS)
def test_a_repeated_time_comes_in_each_minute_whose_wall_clock_matches(zone: str, start: datetime) -> None:
    where, schedule = ZoneInfo(zone), parse_cron("*/10 1-2 * * *")
    expected = [
        moment
        for moment in (start + timedelta(minutes=number) for number in range(5 * 1440))
        if (wall := wall_of(moment, where)).hour in (1, 2) and wall.minute % 10 == 0
    ]
    found, moment = [], start - timedelta(seconds=1)
    end = start + timedelta(days=5)
    while len(found) <= len(expected) and (moment := schedule.next_after(moment, where) or moment.max) < end:
        found.append(moment)
    assert found == expected


def test_the_next_time_decades_away_is_found() -> None:
    schedule = parse_cron("*/5 * * 2 MON#5")
    moment = datetime(2026, 10, 1, tzinfo=UTC)
    assert schedule.next_after(moment, BERLIN) == datetime(2044, 2, 28, 23, tzinfo=UTC)
    assert schedule.latest_upto(moment, BERLIN) == datetime(2016, 2, 29, 22, 55, tzinfo=UTC)


def test_times_end_with_the_calendar() -> None:
    end = datetime(9999, 12, 31, 23, 0, tzinfo=UTC)
    for fields in ("0 0 1 1 *", "*/5 0 1 1 *"):
        assert parse_cron(fields).next_after(end, ZoneInfo("UTC")) is None
