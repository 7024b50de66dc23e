from __future__ import annotations

import re
import threading
from datetime import datetime

import pytest

from agentgw_daemon.system import ids


def test_ids_are_unique_and_sort_in_the_order_they_were_made() -> None:
    made = [ids.new_id("t") for _ in range(5000)]
    assert len(set(made)) == len(made)
    assert made == sorted(made)


def test_an_id_is_its_prefix_and_eighteen_characters() -> None:
    assert re.fullmatch(r"s-[0-9a-hjkmnp-tv-z]{18}", ids.new_id("s"))


def test_ids_go_on_growing_when_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ids.new_id("m")
    monkeypatch.setattr("time.time_ns", lambda: 1_000_000_000)
    assert ids.new_id("m") > before


def test_ids_of_several_threads_are_unique() -> None:
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.extend(ids.new_id("t") for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 2000


def test_ids_of_the_same_millisecond_differ_between_processes() -> None:
    # The clock's state is per process; two fresh ones stand for two processes.
    assert ids._Clock().next() != ids._Clock().next()


def test_times_are_rfc_3339_in_utc_with_milliseconds() -> None:
    text = ids.now()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert datetime.fromisoformat(text).utcoffset() is not None


def test_file_stamps_have_no_character_that_a_shell_or_filesystem_minds() -> None:
    assert re.fullmatch(r"\d{8}T\d{6}Z", ids.file_stamp())
    assert re.fullmatch(r"\d{8}T\d{12}Z", ids.file_stamp(fraction=True))
