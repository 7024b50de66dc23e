"""Zones by name, and wall times that come twice or never."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import pytest

from agentgw_daemon.scheduler.schedules.refusal import ScheduleRefused
from agentgw_daemon.scheduler.schedules.zones import first_change, instant_of, last_change, local_zone, zone_named
from tests.scheduler.made import BERLIN


def test_a_wall_time_means_its_instant() -> None:
    assert instant_of(datetime(2027, 1, 1, 12), BERLIN) == datetime(2027, 1, 1, 11, tzinfo=UTC)


def test_a_wall_time_that_comes_twice_means_the_first() -> None:
    assert instant_of(datetime(2026, 10, 25, 2, 30), BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize("minute", [0, 1, 30, 59])
def test_a_wall_time_that_is_jumped_over_means_the_end_of_the_jump(minute: int) -> None:
    assert instant_of(datetime(2027, 3, 28, 2, minute), BERLIN) == datetime(2027, 3, 28, 1, tzinfo=UTC)


def test_a_whole_day_that_is_jumped_over_means_the_day_after() -> None:
    apia = ZoneInfo("Pacific/Apia")
    assert instant_of(datetime(2011, 12, 30, 12), apia) == instant_of(datetime(2011, 12, 31), apia)


def test_changes_of_the_offset_are_found_from_both_sides() -> None:
    change = datetime(2027, 3, 28, 1, tzinfo=UTC)
    after, upto = datetime(2027, 3, 27, tzinfo=UTC), datetime(2027, 3, 30, tzinfo=UTC)
    assert first_change(after, upto, BERLIN) == change
    assert last_change(after, upto, BERLIN) == change
    assert first_change(change, upto, BERLIN) is None
    assert last_change(after, change, BERLIN) == change
    assert first_change(after, datetime(2027, 3, 28, tzinfo=UTC), BERLIN) is None


@pytest.mark.parametrize(
    "name", ["Europe/Nowhere", "", "../../etc/passwd", "/etc/passwd", "Europe", "a\0b", "x" * 5000, "é"]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ScheduleRefused, match="no time zone"):
        zone_named(name)


@pytest.mark.parametrize("name", ["europe/berlin", "Europe/Berln"])
def test_the_nearest_zone_is_named(name: str) -> None:
    with pytest.raises(ScheduleRefused, match="did you mean Europe/Berlin"):
        zone_named(name)


def test_the_zone_of_the_machine_is_that_of_the_variable() -> None:
    assert local_zone("Asia/Tokyo") == ZoneInfo("Asia/Tokyo")
    assert local_zone(":Asia/Tokyo") == ZoneInfo("Asia/Tokyo")


def test_the_zone_of_the_machine_has_the_name_of_the_links_target(tmp_path: Path) -> None:
    (tmp_path / "localtime").symlink_to(next(p for p in TZPATH if os.path.isdir(p)) + "/Europe/Berlin")
    zone = local_zone(None, tmp_path / "localtime")
    assert zone.key == "Europe/Berlin"
    assert datetime(2027, 7, 1, 12, tzinfo=zone).utcoffset() == datetime(2027, 7, 1, 12, tzinfo=BERLIN).utcoffset()


@pytest.mark.parametrize("content", [None, b"", b"not a zone"])
def test_a_machine_without_a_readable_zone_has_utc(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "localtime").write_bytes(content)
    assert local_zone("Nowhere/Atall", tmp_path / "localtime").key == "UTC"


@pytest.mark.parametrize("name", ["CEST", "PST", "EDT", "+02:00", "UTC+2", "GMT 2", "-5", "XYZ"])
def test_what_names_no_place_gets_no_other_time_of_day(name: str) -> None:
    with pytest.raises(ScheduleRefused) as caught:
        zone_named(name)
    assert str(caught.value) == f"there is no time zone {name!r}; name a place, as Europe/Berlin"


@pytest.mark.parametrize(
    ("name", "meant"), [("utc", "UTC"), ("est5edt", "EST5EDT"), ("europe/berlin", "Europe/Berlin")]
)
def test_a_zone_in_other_letters_is_named(name: str, meant: str) -> None:
    with pytest.raises(ScheduleRefused, match=rf"did you mean {meant}\?"):
        zone_named(name)
