"""Pages of a mapped file's end, given back."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.embedding.mapped_memory import MappedTail

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SIZE = 8 << 20
TAIL = 6 << 20


def resident_kib(path: Path) -> int:
    """The resident size of the mappings of a file in this process."""
    found, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0]:
            ours = line.endswith(str(path))
        elif ours and line.startswith("Rss:"):
            found += int(line.split()[1])
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "a file"
    made.write_bytes(bytes(range(256)) * (SIZE // 256))
    return made


def test_the_end_of_a_mapped_file_is_given_back_and_reads_the_same(path: Path) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        before = view[:]
        assert resident_kib(path) >= SIZE >> 10
        MappedTail(str(path), TAIL).drop()
        assert resident_kib(path) <= (SIZE - TAIL >> 10) + 4
        assert view[:] == before


@pytest.mark.parametrize("tail", [0, 100])
def test_less_than_a_page_is_nothing_to_give_back(path: Path, tail: int) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        assert len(view[:]) == SIZE
        MappedTail(str(path), tail).drop()
        assert resident_kib(path) >= SIZE >> 10


def test_a_file_that_is_not_mapped_is_left_alone(path: Path) -> None:
    MappedTail(str(path), TAIL).drop()
    assert path.stat().st_size == SIZE
