from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from agentgw_shell.prompt.history import PrivateHistory, keepable


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("plain words", "plain words"),
        (" a secret", ""),
        ("\tanother", ""),
        ("/set temperature 0.3", "/set"),
        ("/set\nstop x", "/set"),
        ("/settle it", "/settle it"),
        ("use sk-abcdefghijklmnop1234 here", "use *** here"),
        ("ghp_abcdefghijklmnopqrstuvwxyz123456", "***"),
        ("password: hunter2", "password: ***"),
        ("API_KEY=abc123", "API_KEY=***"),
        ("Authorization: Bearer abcdefghijkl", "Authorization: *** abcdefghijkl"),
        ("https://me:geheim@host/x", "https://***@host/x"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", "***"),
        ("a token is a piece of a word", "a token is a piece of a word"),
        ("/home/me/a/rather/long/path/to/a/file.txt", "/home/me/a/rather/long/path/to/a/file.txt"),
    ],
)
def test_what_is_kept_of_a_line(typed: str, kept: str) -> None:
    assert keepable(typed) == kept


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("")
    path.chmod(0o644)
    history = PrivateHistory(str(path))
    history.append_string("words")
    history.append_string(" not these")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "words" in path.read_text()
    assert "not these" not in path.read_text()
    assert history.get_strings() == ["words"]


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (Path.mkdir, "Is a directory"),
        (os.mkfifo, "No such device or address"),
        (lambda path: path.symlink_to("/dev/null"), "it is no file"),
        (lambda path: path.symlink_to(path / "nowhere"), "symbolic links"),
    ],
    ids=["directory", "pipe", "device", "loop"],
)
def test_what_cannot_be_its_file_costs_the_history_and_not_the_chat(
    tmp_path: Path, make: Callable[[Path], None], fault: str
) -> None:
    path = tmp_path / "history"
    make(path)
    history = PrivateHistory(str(path))
    history.append_string("words")
    assert fault in history.fault
    assert list(history.load_history_strings()) == []
    assert history.get_strings() == ["words"]


def test_bytes_that_are_no_text_are_lines_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(b"\xff\x00\n+old\xfe\n")
    assert list(PrivateHistory(str(path)).load_history_strings()) == ["old\ufffd"]


def test_of_a_long_history_the_latest_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("".join(f"\n# 2026-01-01 00:00:00\n+line {number}\n+its end\n" for number in range(60_000)))
    found = list(PrivateHistory(str(path)).load_history_strings())
    assert found[:2] == ["line 59999\nits end", "line 59998\nits end"]
    assert 10_000 < len(found) < 60_000
    assert found[-1].endswith("\nits end")
    assert found[-1].startswith("line ")


def test_a_damaged_history_gives_the_lines_that_it_has(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(b"\0\xff junk\n\n# 2026-01-01\n+one\n\n+two \xff\n+more")
    assert list(PrivateHistory(str(path)).load_history_strings()) == ["two \ufffd\nmore", "one"]
