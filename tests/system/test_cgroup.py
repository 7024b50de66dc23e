"""Limits of control groups, in folders that look like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentgw_daemon.system.cgroup import available_bytes

GIB = 1 << 30


def group(folder: Path, limit: object, used: int, cached: int = 0, *, first: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if first else ("memory.max", "memory.current")
    for name, value in zip(names, (limit, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    prefix = "total_" if first else ""
    (folder / "memory.stat").write_text(f"anon {used}\n{prefix}inactive_file {cached}\n{prefix}active_file 0\n")


def own(folder: Path, text: str) -> Path:
    path = folder / "cgroup"
    path.write_text(text)
    return path


def test_a_containers_limit_counts_without_what_can_be_dropped(tmp_path: Path) -> None:
    group(tmp_path / "fs", 2 * GIB, GIB, GIB // 2)
    assert available_bytes(own(tmp_path, "0::/\n"), tmp_path / "fs") == 2 * GIB - GIB // 2


def test_the_narrowest_of_the_groups_around_it_counts(tmp_path: Path) -> None:
    group(tmp_path / "fs/user.slice", 3 * GIB, 2 * GIB)
    group(tmp_path / "fs/user.slice/agentgw.service", "max", GIB)
    assert available_bytes(own(tmp_path, "0::/user.slice/agentgw.service\n"), tmp_path / "fs") == GIB
    group(tmp_path / "fs/user.slice/agentgw.service", GIB, 2 * GIB)
    assert available_bytes(own(tmp_path, "0::/user.slice/agentgw.service\n"), tmp_path / "fs") == 0


def test_the_first_version_is_read_and_its_largest_number_is_no_limit(tmp_path: Path) -> None:
    lines = own(tmp_path, "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n")
    group(tmp_path / "fs/memory", 9223372036854771712, GIB, first=True)
    assert available_bytes(lines, tmp_path / "fs") is None
    # The host's path is not seen in a container; its own group is the root there.
    group(tmp_path / "fs/memory", GIB, GIB // 4, first=True)
    assert available_bytes(lines, tmp_path / "fs") == GIB - GIB // 4


@pytest.mark.parametrize("text", ["", "0::\n", "nonsense\n", "0::/gone\n"])
def test_without_groups_nothing_is_known(tmp_path: Path, text: str) -> None:
    assert available_bytes(own(tmp_path, text), tmp_path / "fs") is None
    assert available_bytes(tmp_path / "absent", tmp_path / "fs") is None
