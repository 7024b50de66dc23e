"""Files that a user edits: bounds, kinds, and what tells their states apart."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentgw_daemon.system.text_file import UnreadableFile, Version, read_text_file, version_of


def test_text_comes_with_the_state_that_was_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("ä\n")
    assert read_text_file(path, 10) == (version_of(path), "ä\n")


def test_a_changed_file_has_another_version(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a")
    os.utime(path, (1, 1))
    before = version_of(path)
    os.utime(path, (2, 2))
    assert version_of(path) != before
    assert version_of(path).written_at == datetime.fromtimestamp(2, UTC)


def test_no_file_has_the_version_of_nothing(tmp_path: Path) -> None:
    assert version_of(tmp_path / "none") == Version()
    with pytest.raises(FileNotFoundError):
        read_text_file(tmp_path / "none", 10)


def test_a_pipe_a_large_file_and_other_bytes_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_text("x" * 5000)
    (tmp_path / "bytes").write_bytes(b"a\n\xff")
    for name, reason in (
        ("pipe", "is no file"),
        ("large", "is larger than 4 KiB"),
        ("bytes", "is not UTF-8 in line 2"),
    ):
        with pytest.raises(UnreadableFile, match=reason):
            read_text_file(tmp_path / name, 4096)
