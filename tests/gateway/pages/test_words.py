"""Numbers and times as pages show them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agentgw_daemon.gateway.pages.words import amount, moment, size

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "shown"),
    [(None, ""), (0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (98_362_432, "98 MB"), (10**16, "10000 TB")],
)
def test_sizes_are_in_powers_of_ten(count: int | None, shown: str) -> None:
    assert size(count) == shown


def test_one_thing_is_no_many() -> None:
    assert (amount(1, "turn"), amount(0, "turn"), amount(1200, "turn")) == ("1 turn", "0 turns", "1,200 turns")


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
