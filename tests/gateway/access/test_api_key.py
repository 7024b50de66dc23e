"""The key of HTTP over TCP."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentgw.protocol.errors import ConfigRefused, DirectoryRefused
from agentgw_daemon.gateway.access.api_key import find_key


def test_a_key_is_made_once_for_its_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "http.key"
    before = os.umask(0)
    try:
        made = find_key(str(file), "")
    finally:
        os.umask(before)
    assert (len(made.text), made.file, made.is_short) == (43, str(file), False)
    assert file.stat().st_mode & 0o777 == 0o600
    assert find_key(str(file), "") == made


def test_the_key_of_the_environment_comes_first_and_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "http.key"
    assert find_key(str(file), "a-key").text == "a-key"
    assert find_key(str(file), "a-key").is_short
    assert not file.exists()


@pytest.mark.parametrize("given", ["two words", "tab\t", "käse", "line\n", "x" * 513])
def test_a_key_that_no_header_can_carry_is_refused_and_not_quoted(tmp_path: Path, given: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        find_key(str(tmp_path / "http.key"), given)
    assert given not in str(refused.value)


def test_a_file_that_others_may_read_is_no_key(tmp_path: Path) -> None:
    file = tmp_path / "http.key"
    file.write_text("0123456789abcdef0123456789abcdef\n")
    file.chmod(0o640)
    with pytest.raises(DirectoryRefused, match="open to others"):
        find_key(str(file), "")


@pytest.mark.parametrize("content", ["", "two words\n", "\x00\x01"])
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "http.key"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(DirectoryRefused, match="no key"):
        find_key(str(file), "")


@pytest.mark.parametrize("kind", ["link", "directory", "fifo"])
def test_what_is_no_file_in_its_place_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "http.key"
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "directory":
        path.mkdir(mode=0o700)
    else:
        os.mkfifo(path, 0o600)
    with pytest.raises(DirectoryRefused):
        find_key(str(path), "")
