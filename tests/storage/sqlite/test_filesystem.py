from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from agentgw_daemon.storage.sqlite.filesystem import (
    answers_at_once,
    filesystem_type,
    is_network,
    make_directory,
    make_private,
    size_of,
)

_MOUNTS = """\
22 27 0:20 / /proc rw,nosuid - proc proc rw
27 1 259:2 / / rw,relatime shared:1 - ext4 /dev/root rw
40 27 0:35 / /home rw,relatime shared:5 master:1 - nfs4 server:/home rw
41 40 0:36 / /home/ann/my\\040disk rw - fuse.sshfs ann@host:/ rw
42 27 0:37 / /mnt rw - cifs //server/share rw
43 42 0:38 / /mnt rw - tmpfs tmpfs rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib", "ext4"),
        ("/home/ann/.local/share/agentgw", "nfs4"),
        ("/home/ann/my disk/data", "fuse.sshfs"),
        ("/homework", "ext4"),
        ("/mnt/data", "tmpfs"),
    ],
)
def test_the_filesystem_is_that_of_the_innermost_last_mount(path: str, kind: str) -> None:
    assert filesystem_type(Path(path), _MOUNTS) == kind


def test_without_a_mount_table_nothing_is_known() -> None:
    assert filesystem_type(Path("/home"), "") == ""


@pytest.mark.parametrize(("kind", "network"), [("nfs", True), ("cifs", True), ("fuse.sshfs", True), ("ext4", False)])
def test_network_filesystems_are_told_from_local_ones(kind: str, network: bool) -> None:
    assert is_network(kind) is network


@pytest.mark.parametrize(
    ("kind", "at_once"),
    [("ext4", True), ("tmpfs", True), ("btrfs", True), ("nfs4", False), ("fuse.gocryptfs", False), ("autofs", False),
     ("", False)],
)  # fmt: skip
def test_only_what_the_kernel_keeps_itself_answers_at_once(kind: str, at_once: bool) -> None:
    assert answers_at_once(kind) is at_once


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        make_directory(tmp_path / "a" / "b")
        make_private(tmp_path / "a" / "b" / "file")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b/file")]
    assert modes == [0o700, 0o700, 0o600]


def test_an_existing_directory_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    make_directory(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


def test_the_size_of_a_missing_file_is_zero(tmp_path: Path) -> None:
    assert size_of(tmp_path / "none") == 0
