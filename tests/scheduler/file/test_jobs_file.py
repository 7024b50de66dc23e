"""The file on disk: bounds, links, modes, and somebody else who writes it too."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentgw.protocol.errors import NotFound, StorageUnavailable
from agentgw_daemon.scheduler.file.editing import without_job
from agentgw_daemon.scheduler.file.jobs_file import MAX_BYTES, JobsFile, edit_jobs, read_jobs
from agentgw_daemon.system.text_file import Version, version_of
from tests.scheduler.made import BERLIN, HOME

JOB = "jobs:\n  - name: a\n    message: b\n    every: day\n"


def read(path: Path) -> JobsFile:
    return read_jobs(path, home=HOME, zone=BERLIN)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.yaml"
    path.write_text(JOB)
    return path


def test_the_jobs_of_a_file_are_read_with_its_version(path: Path) -> None:
    found = read(path)
    assert [job.name for job in found.contents.jobs] == ["a"]
    assert found.version == version_of(path)
    assert found.problems() == ()


def test_no_file_is_no_job(tmp_path: Path) -> None:
    found = read(tmp_path / "none.yaml")
    assert found.contents.jobs == ()
    assert found.contents.complete
    assert found.version == Version()
    assert found.version.written_at is None


def test_a_problem_names_file_and_line(path: Path) -> None:
    path.write_text(JOB + "  - name: c\n    message: d\n    every: fortnight\n")
    (problem,) = read(path).problems()
    assert problem.startswith(f"{path}:7: every: 'fortnight'")


def test_the_version_says_when_it_was_written(path: Path) -> None:
    os.utime(path, (1_800_000_000, 1_800_000_000))
    assert version_of(path).written_at == datetime.fromtimestamp(1_800_000_000, UTC)
    assert Version(mtime_ns=2**62 * 1000).written_at is None


def make_large(path: Path) -> None:
    path.write_bytes(b"# " + b"x" * 10_000_000)


def make_latin(path: Path) -> None:
    path.write_bytes(JOB.encode() + b"# caf\xe9\n")


def make_utf16(path: Path) -> None:
    path.write_bytes(JOB.encode("utf-16"))


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


BROKEN = pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_large, "larger than"), (make_latin, "not UTF-8 in line 5"), (make_utf16, "not UTF-8"),
        (make_folder, "directory"), (make_pipe, "no file"), (make_loop, "symbolic links"),
    ],
)  # fmt: skip


@BROKEN
def test_what_cannot_be_read_is_one_problem_of_the_file(path: Path, make: object, reason: str) -> None:
    make(path)
    found = read(path)
    assert found.text is None
    assert not found.contents.complete
    assert reason in found.problems()[0]


@BROKEN
def test_what_cannot_be_read_is_not_edited(path: Path, make: object, reason: str) -> None:
    make(path)
    with pytest.raises(StorageUnavailable):
        edit_jobs(path, lambda text: text + "# more\n")
    assert sorted(path.parent.iterdir()) == [path]


def test_an_edit_is_written_for_the_owner_alone(path: Path) -> None:
    path.chmod(0o644)
    edit_jobs(path, lambda text: text + "# more\n")
    assert path.read_text() == JOB + "# more\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_new_file_gets_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "jobs.yaml"
    edit_jobs(path, lambda _: JOB)
    assert path.read_text() == JOB
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "links" / "jobs.yaml"
    link.parent.mkdir()
    link.symlink_to("../jobs.yaml")
    edit_jobs(link, lambda text: text + "# more\n")
    assert link.is_symlink()
    assert path.read_text() == JOB + "# more\n"
    assert list(link.parent.iterdir()) == [link]


def test_an_edit_that_changes_nothing_writes_nothing(path: Path) -> None:
    before = version_of(path)
    edit_jobs(path, lambda text: text)
    assert version_of(path) == before


def test_an_edit_that_is_refused_writes_nothing(path: Path) -> None:
    before = version_of(path)
    with pytest.raises(NotFound):
        edit_jobs(path, lambda text: without_job(text, "nobody"))
    assert version_of(path) == before
    assert list(path.parent.iterdir()) == [path]


def test_an_edit_is_made_again_on_what_somebody_else_saved_meanwhile(path: Path) -> None:
    seen = []

    def edit(text: str) -> str:
        seen.append(text)
        if len(seen) == 1:
            path.write_text(text + "# theirs\n")
        return text + "# ours\n"

    edit_jobs(path, edit)
    assert path.read_text() == JOB + "# theirs\n# ours\n"
    assert len(seen) == 2


def test_a_file_that_appears_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "jobs.yaml"

    def edit(text: str) -> str:
        if not text:
            path.write_text(JOB)
        return text + "# ours\n"

    edit_jobs(path, edit)
    assert path.read_text() == JOB + "# ours\n"


def test_a_file_that_somebody_writes_all_the_time_is_left_to_them(path: Path) -> None:
    def edit(text: str) -> str:
        path.write_text(text + "# theirs\n")
        return text + "# ours\n"

    with pytest.raises(StorageUnavailable, match="somebody else"):
        edit_jobs(path, edit)
    assert "# ours" not in path.read_text()
    assert list(path.parent.iterdir()) == [path]


def test_an_edit_that_makes_it_too_large_is_refused(path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="would be larger"):
        edit_jobs(path, lambda text: text + "#" * MAX_BYTES)
    assert path.read_text() == JOB
    assert list(path.parent.iterdir()) == [path]
