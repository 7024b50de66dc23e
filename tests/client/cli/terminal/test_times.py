from __future__ import annotations

import time

import pytest

from agentgw.cli.terminal.times import local, utc


@pytest.fixture
def in_india(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "IST-5:30")
    time.tzset()


@pytest.mark.usefixtures("in_india")
def test_times_are_those_of_the_reader() -> None:
    assert local("2026-01-01T23:00:00.123Z") == "2026-01-02 04:30"
    assert local("2026-01-01T23:00:00Z") == "2026-01-02 04:30"


@pytest.mark.usefixtures("in_india")
@pytest.mark.parametrize(("moment", "shown"), [(None, ""), ("", ""), ("yesterday", "yesterday"), ("9" * 50, "9" * 50)])
def test_no_time_is_shown_as_it_is(moment: str | None, shown: str) -> None:
    assert local(moment) == shown


def test_a_moment_is_written_as_the_wire_has_it() -> None:
    assert utc(1_767_225_600.9) == "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("0901-02-03T04:05:00Z", "0901-02-03 04:05"), ("1600-01-01T00:00:00.000Z", "1600-01-01 00:00"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31 23:59"),
    ],
)  # fmt: skip
def test_a_year_has_four_digits(monkeypatch: pytest.MonkeyPatch, moment: str, shown: str) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert local(moment) == shown
