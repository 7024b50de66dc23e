"""Numbers and times as pages show them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agentgw_daemon.gateway.pages.rendering.words import amount, clock, lines, moment, parts_of, size, span

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "shown"),
    [(None, ""), (0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (98_362_432, "98 MB"), (10**16, "10000 TB")],
)
def test_sizes_are_in_powers_of_ten(count: int | None, shown: str) -> None:
    assert size(count) == shown


def test_one_thing_is_no_many() -> None:
    assert (amount(1, "turn"), amount(0, "turn"), amount(1200, "turn")) == ("1 turn", "0 turns", "1,200 turns")


def test_one_line_is_no_many() -> None:
    assert (lines((3, 5)), lines((7, 7)), lines((7,))) == ("lines 3–5", "line 7", "line 7")


@pytest.mark.parametrize(
    ("when", "shown"),
    [
        (None, ""),
        ("2026-05-01T11:59:30Z", "now"),
        ("2026-05-01T11:15:00Z", "45 min ago"),
        ("2026-05-01T14:00:00Z", "in 2 h"),
        ("2026-04-28T12:00:00Z", "3 d ago"),
        ("2025-12-24T18:30:00Z", "2025-12-24 18:30 UTC"),
        ("soon", "soon"),
    ],
)
def test_times_are_told_from_now(when: str | None, shown: str) -> None:
    assert moment(when, NOW) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "less than a minute"), (59.9, "less than a minute"), (60, "1 min"), (3599, "59 min"), (3600, "1 h 0 min"),
     (86_399, "23 h 59 min"), (90_000, "1 d 1 h"), (10**9, "11574 d 1 h")],
)  # fmt: skip
def test_a_length_of_time_is_told_by_its_largest_units(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


def test_a_time_that_is_waited_for_is_that_of_the_clock_on_the_wall() -> None:
    zone = NOW.astimezone().strftime("%Z")
    assert clock(NOW.isoformat(), NOW) == f"{NOW.astimezone():%H:%M} {zone}"
    assert clock("2027-05-01T12:00:00Z", NOW).startswith("2027-05-0")
    assert clock("soon", NOW) == "soon"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("plain", [("plain", False)]),
        ("`a` lists", [("a", True), (" lists", False)]),
        ("type `a b` or `c`", [("type ", False), ("a b", True), (" or ", False), ("c", True)]),
        ("one ` alone", [("one ` alone", False)]),
        ("``", []),
    ],
)
def test_commands_in_a_message_stand_between_backticks(text: str, parts: list[tuple[str, bool]]) -> None:
    assert parts_of(text) == parts
