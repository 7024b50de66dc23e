from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw.local.directories import advice_about, make_private, open_private, prepare, private_umask, refuse_sudo
from agentgw.local.environment import Environment
from agentgw.local.lifetime.spawn import connect_or_spawn
from agentgw.local.paths import Paths
from agentgw.protocol.errors import DirectoryRefused

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path | str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_every_level_is_private_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    make_private(str(tmp_path / "a" / "b" / "c"))
    assert [mode(tmp_path / part) for part in ("a", "a/b", "a/b/c")] == [0o700] * 3
    assert os.umask(umask) == umask


def test_the_umask_comes_back_after_an_error() -> None:
    before = os.umask(0o022)
    try:
        with pytest.raises(ZeroDivisionError), private_umask():
            raise ZeroDivisionError
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_all_directories_of_a_home_are_made(umask: int, paths: Paths, home: Path) -> None:
    prepare(paths)
    assert [mode(path) for path in (home, *paths.directories)] == [0o700] * 6


def test_making_them_twice_changes_nothing(paths: Paths) -> None:
    prepare(paths)
    made = [os.stat(path) for path in paths.directories]
    prepare(paths)
    again = [os.stat(path) for path in paths.directories]
    assert [(one.st_ino, one.st_mode) for one in again] == [(one.st_ino, one.st_mode) for one in made]


@pytest.mark.parametrize("loose", [0o777, 0o750, 0o701, 0o755])
def test_a_directory_open_to_others_is_refused_and_left_alone(paths: Paths, loose: int) -> None:
    prepare(paths)
    os.chmod(paths.run_dir, loose)
    with pytest.raises(DirectoryRefused) as caught:
        connect_or_spawn(paths, command=["/bin/false"])
    assert paths.run_dir in caught.value.message
    assert caught.value.hint == f"run: chmod 700 {paths.run_dir}"
    assert caught.value.exit_status == 78
    assert mode(paths.run_dir) == loose
    assert os.listdir(paths.run_dir) == []


@pytest.mark.parametrize("which", ["config_dir", "data_dir", "state_dir", "cache_dir"])
def test_no_socket_is_made_when_any_directory_is_refused(paths: Paths, which: str) -> None:
    prepare(paths)
    os.chmod(getattr(paths, which), 0o755)
    with pytest.raises(DirectoryRefused, match=getattr(paths, which)):
        connect_or_spawn(paths, command=["/bin/false"])
    assert os.listdir(paths.run_dir) == []


@as_root
def test_a_directory_of_another_user_is_refused(paths: Paths) -> None:
    prepare(paths)
    os.chown(paths.run_dir, 65534, 65534)
    with pytest.raises(DirectoryRefused, match="belongs to uid 65534") as caught:
        prepare(paths)
    assert f"chmod 700 {paths.run_dir}" in caught.value.hint


def test_a_file_in_the_place_of_a_directory_is_refused(paths: Paths) -> None:
    prepare(paths)
    os.rmdir(paths.run_dir)
    Path(paths.run_dir).write_bytes(b"mine")
    with pytest.raises(DirectoryRefused, match="is not a directory") as caught:
        prepare(paths)
    assert f"chmod 700 {paths.run_dir}" in caught.value.hint
    assert Path(paths.run_dir).read_bytes() == b"mine"


def test_a_link_in_the_place_of_a_directory_is_refused(paths: Paths, tmp_path: Path) -> None:
    prepare(paths)
    os.rmdir(paths.run_dir)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(0o700)
    os.symlink(elsewhere, paths.run_dir)
    with pytest.raises(DirectoryRefused, match="symbolic link"):
        connect_or_spawn(paths, command=["/bin/false"])
    assert os.listdir(elsewhere) == []


def test_a_dangling_link_is_refused(paths: Paths, tmp_path: Path) -> None:
    prepare(paths)
    os.rmdir(paths.run_dir)
    os.symlink(tmp_path / "nowhere", paths.run_dir)
    with pytest.raises(DirectoryRefused, match="symbolic link"):
        prepare(paths)


def test_a_missing_directory_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_private(str(tmp_path / "no"))


def test_the_home_itself_may_be_readable_and_a_link(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir(0o755)
    (tmp_path / "link").symlink_to(real)
    paths = Paths(Environment({"AGENTGW_HOME": str(tmp_path / "link")}))
    prepare(paths)
    assert mode(paths.run_dir) == 0o700


def test_a_home_that_others_may_write_is_refused(paths: Paths, home: Path) -> None:
    home.mkdir()
    home.chmod(0o775)
    with pytest.raises(DirectoryRefused, match="is open to others"):
        prepare(paths)
    assert os.listdir(home) == []


def test_existing_parents_are_not_ours_to_judge(tmp_path: Path) -> None:
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config").chmod(0o777)
    make_private(str(tmp_path / ".config" / "agentgw"))
    assert mode(tmp_path / ".config") == 0o777


@pytest.mark.parametrize("hopeless", ["/proc", "/proc/agentgw", "/dev/null/x"])
def test_a_place_that_cannot_be_written_is_one_clear_error(hopeless: str) -> None:
    with pytest.raises(DirectoryRefused) as caught:
        prepare(Paths(Environment({"AGENTGW_HOME": hopeless})))
    assert hopeless in caught.value.message
    assert "\n" not in caught.value.message + caught.value.hint


def test_the_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DirectoryRefused) as caught:
        make_private(str(tmp_path / "file" / "a" / "b"))
    said = f"{tmp_path}/file/a/b cannot be made: {tmp_path}/file is not a directory"
    assert caught.value.message == said
    with pytest.raises(DirectoryRefused) as caught:
        open_private(str(tmp_path / "file" / "a" / "b"))
    assert caught.value.message == said


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "free some space"), (errno.EROFS, "set AGENTGW_HOME"), (errno.EMFILE, "too many files")],
)
def test_what_the_system_lacks_is_advised_about_and_nothing_about_the_file(number: int, advice: str) -> None:
    assert advice_about(OSError(number, "x"), "rm it").startswith(advice)
    assert advice_about(OSError(errno.EISDIR, "x"), "rm it") == "rm it"


def test_the_command_to_run_is_a_shell_word(tmp_path: Path) -> None:
    odd = tmp_path / "a b"
    odd.mkdir(0o755)
    odd.chmod(0o755)
    with pytest.raises(DirectoryRefused) as caught:
        make_private(str(odd))
    assert caught.value.hint == f"run: chmod 700 '{odd}'"


@as_root
def test_sudo_is_refused() -> None:
    with pytest.raises(DirectoryRefused, match="sudo"):
        refuse_sudo(Environment({"SUDO_UID": "1000"}))
    refuse_sudo(Environment({}))
    refuse_sudo(Environment({"SUDO_UID": "0"}))
