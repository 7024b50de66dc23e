"""The phrases of the `schedule` library, on a grid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentgw_daemon.scheduler.schedules.every import parse_every
from agentgw_daemon.scheduler.schedules.refusal import ScheduleRefused
from tests.scheduler.made import BERLIN, times
from tests.scheduler.zones import BEGINNINGS, ZONES

PHRASES = (
    "10 minutes", "7 hours", "hour at :15", "2 hours at :15", "minute at :17", "day at 02:30", "3 days at 00:00",
    "sunday at 02:15", "2 weeks", "day", "5 days at 23:59", "day at 09:30:15", "90 seconds", "every friday",
)  # fmt: skip


@pytest.mark.parametrize(
    ("phrase", "after", "expected"),
    [
        ("10 minutes", "2027-01-01T08:03", ["2027-01-01T08:10:00+01:00", "2027-01-01T08:20:00+01:00"]),
        ("day at 09:00", "2027-01-01T09:00", ["2027-01-02T09:00:00+01:00"]),
        ("Every  Day at 09:00", "2027-01-01T08:00", ["2027-01-01T09:00:00+01:00"]),
        ("monday at 10:00", "2027-01-01T08:00", ["2027-01-04T10:00:00+01:00", "2027-01-11T10:00:00+01:00"]),
        ("hour at :15", "2027-01-01T08:15", ["2027-01-01T09:15:00+01:00"]),
        ("hour at 30:15", "2027-01-01T08:00", ["2027-01-01T08:30:15+01:00"]),
        ("minute at :17", "2027-01-01T08:00", ["2027-01-01T08:00:17+01:00"]),
        ("2 hours at :15", "2027-01-01T08:00", ["2027-01-01T08:15:00+01:00", "2027-01-01T10:15:00+01:00"]),
        ("6 hours", "2027-01-01T08:00", ["2027-01-01T12:00:00+01:00"]),
        ("hour", "2027-01-01T08:00", ["2027-01-01T09:00:00+01:00"]),
        ("week", "2027-01-01T08:00", ["2027-01-04T00:00:00+01:00", "2027-01-11T00:00:00+01:00"]),
        ("1 monday", "2027-01-01T08:00", ["2027-01-04T00:00:00+01:00"]),
        # Where clocks are changed, as given times of cron.
        ("day at 02:30", "2027-03-27T12:00", ["2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"]),
        ("day at 02:30", "2026-10-24T12:00", ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
        # The distance stays, the wall clock does not.
        ("6 hours", "2026-10-25T00:30", ["2026-10-25T01:00:00+02:00", "2026-10-25T06:00:00+01:00"]),
    ],
)  # fmt: skip
def test_phrases_give_their_times(phrase: str, after: str, expected: list[str]) -> None:
    assert times(parse_every(phrase), after, len(expected)) == expected


def test_the_grid_has_full_hours_also_where_zones_are_half_hours_apart() -> None:
    assert times(parse_every("hour"), "2027-01-01T08:10", 1, ZoneInfo("Asia/Kathmandu")) == [
        "2027-01-01T09:00:00+05:45"
    ]


@given(
    phrase=st.sampled_from(PHRASES), zone=st.sampled_from(ZONES), start=st.sampled_from(BEGINNINGS),
    offset=st.floats(0, 30 * 86400),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_the_grid_does_not_depend_on_when_one_asks(phrase: str, zone: str, start: datetime, offset: float) -> None:
    schedule, where, moment = parse_every(phrase), ZoneInfo(zone), start + timedelta(seconds=offset)
    following, last = schedule.next_after(moment, where), schedule.latest_upto(moment, where)
    assert following is not None
    assert last is not None
    assert last <= moment < following
    assert schedule.next_after(last, where) == following
    assert schedule.latest_upto(following, where) == following
    assert schedule.latest_upto(following - timedelta(microseconds=1), where) == last


@pytest.mark.parametrize(
    ("phrase", "reason"),
    [
        ("10 minute", 'write "10 minutes"'),
        ("5min", 'write "5 minutes"'),
        ("day at 9:00", 'write "day at 09:00"'),
        ("day at 9am", 'write "day at 09:00"'),
        ("monday at 9.30 pm", 'write "monday at 21:30"'),
        ("daily at 8:30", 'write "day at 08:30"'),
        ("hourly", 'write "hour"'),
        ("hour at 15", 'write "hour at :15"'),
        ("mnday at 10:00", 'write "monday at 10:00"'),
        ("2 mondays", "once a week"),
        ("weekday at 09:00", "0 9 \\* \\* 1-5"),
        ("5 to 10 minutes", "jitter_s"),
        ("day at 24:00", "not between 0 and 23"),
        ("day at 10:00 until 18:00", "write it like"),
        ("week at 09:00", "invalid unit"),
        ("0 minutes", "1 or more"),
        ("-5 minutes", "not understood"),
        ("1.5 hours", "not understood"),
        ("11 years", "not understood"),
        ("4000 days", "more than ten years"),
        ("999999999 weeks", "more than ten years"),
        ("99999999999999999999 weeks", "not understood"),
        ("at 09:00", "not understood"),
        ("run", "not understood"),
        ("do", "not understood"),
        ("scheduler", "not understood"),
        ("", "not understood"),
        ("day\0", "not understood"),
        ("٣ minutes", "not understood"),
    ],
)
def test_other_phrases_are_refused_with_the_nearest_form(phrase: str, reason: str) -> None:
    with pytest.raises(ScheduleRefused, match=reason):
        parse_every(phrase)


@given(st.text(alphabet="every dayhourminutsnok0123456789:@at ", max_size=40))
def test_any_text_is_a_phrase_or_refused(text: str) -> None:
    try:
        found = parse_every(text)
    except ScheduleRefused:
        return
    moment = datetime(2026, 10, 25, 0, 45, tzinfo=UTC)
    following = found.next_after(moment, BERLIN)
    assert following is not None
    assert following > moment
