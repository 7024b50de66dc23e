from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.reading.files import opening
from agentgw_daemon.workers.retrieval.reading.files.opening import read_file
from agentgw_daemon.workers.retrieval.reading.values import Unreadable

MOST = 1 << 20


def test_a_file_is_read_whole_with_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    data = os.urandom(300_000)
    path.write_bytes(data)
    contents = read_file(str(path), MOST)
    assert contents.data == data
    assert contents.sha256 == hashlib.sha256(data).hexdigest()
    assert contents.mtime_ns == path.stat().st_mtime_ns


def test_an_empty_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert read_file(str(tmp_path / "empty"), MOST).data == b""


def test_a_name_that_is_not_utf8_is_opened(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9-\xff.txt"
    fd = os.open(name, os.O_CREAT | os.O_WRONLY, 0o600)
    os.write(fd, b"text")
    os.close(fd)
    assert read_file(os.fsdecode(name), MOST).data == b"text"


def test_a_link_on_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_text("text")
    (tmp_path / "link").symlink_to("folder/a")
    (tmp_path / "way").symlink_to("folder")
    for name in ("link", "way/a"):
        with pytest.raises(Unreadable, match="is a symbolic link"):
            read_file(str(tmp_path / name), MOST)


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Path]:
    """A folder of things that are no files."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-pipe").symlink_to("pipe")
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "to-zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        yield tmp_path


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("folder", "is a directory"),
        ("pipe", "is a pipe, not a file"),
        ("to-pipe", "is a symbolic link"),
        ("socket", "is a socket, not a file"),
        ("nowhere", "is a symbolic link"),
        ("missing", "is not there"),
        ("missing/file", "is not there"),
        ("loop", "is a symbolic link"),
        ("to-zero", "is a symbolic link"),
        ("/dev/null", "is a device, not a file"),
        ("a\0b", "has a name with a null byte"),
        ("n" * 300, "has too long a name"),
    ],
)
def test_what_is_no_file_is_refused_at_once(odd: Path, name: str, reason: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_file(os.path.join(odd, name), MOST)
    assert str(refused.value) == reason


@pytest.mark.skipif(not os.path.exists("/proc/self/environ"), reason="there is no /proc on macOS")
def test_what_the_kernel_makes_up_is_refused() -> None:
    with pytest.raises(Unreadable, match="made up by the system"):
        read_file("/proc/self/environ", MOST)


def test_a_file_of_four_gigabytes_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(4 << 30)
    with pytest.raises(Unreadable, match="is too large: 4,295 MB; up to 1 MB are read"):
        read_file(str(path), MOST)


class Meddler:
    """Changes the file after each of the first so many reads of a block."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int, change: object) -> None:
        self.left = times
        self.change = change
        self.read = os.read
        monkeypatch.setattr(opening.os, "read", self)

    def __call__(self, fd: int, count: int) -> bytes:
        block = self.read(fd, count)
        if block and self.left:
            self.left -= 1
            assert callable(self.change)
            self.change()
        return block


def test_a_file_that_changes_once_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    Meddler(monkeypatch, 1, lambda: path.write_text("new and longer"))
    assert read_file(str(path), MOST).data == b"new and longer"


def test_a_file_that_is_replaced_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def replace() -> None:
        (tmp_path / "b").write_text("new")
        (tmp_path / "b").rename(path)

    Meddler(monkeypatch, 1, replace)
    assert read_file(str(path), MOST).data == b"new"


def test_a_file_that_keeps_changing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    Meddler(monkeypatch, 9, lambda: path.write_text("more" * path.stat().st_size))
    with pytest.raises(Unreadable, match="changes while it is read"):
        read_file(str(path), MOST)


def test_a_file_that_grows_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    Meddler(monkeypatch, 99, lambda: os.truncate(path, 2 * MOST))
    with pytest.raises(Unreadable, match="too large"):
        read_file(str(path), MOST)


def test_a_file_that_vanishes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    Meddler(monkeypatch, 1, path.unlink)
    with pytest.raises(Unreadable, match="is not there"):
        read_file(str(path), MOST)


def test_no_descriptor_is_left_open(odd: Path) -> None:
    (odd / "a").write_text("x")
    before = set(os.listdir("/dev/fd"))
    for name in sorted(os.listdir(odd)):
        with pytest.raises(Unreadable):
            read_file(str(odd / name), 0)
    assert set(os.listdir("/dev/fd")) == before
