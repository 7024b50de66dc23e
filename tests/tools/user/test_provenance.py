"""Files that may be run: only those that nobody else can write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentgw_daemon.tools.user import provenance
from agentgw_daemon.tools.user.provenance import MAX_FILES, FileRefused, check_writers, tool_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "tools"
    made.mkdir(mode=0o700)
    return made


def put(folder: Path, name: str, mode: int = 0o600) -> Path:
    path = folder / name
    path.write_text("x")
    path.chmod(mode)
    return path


def names(folder: Path) -> list[str]:
    return [file.path.name for file in tool_files(folder)[0]]


def reasons(folder: Path) -> dict[str, str]:
    return {file.path.name: file.reason for file in tool_files(folder)[1]}


def test_a_folder_that_is_not_there_has_no_tools(tmp_path: Path) -> None:
    assert tool_files(tmp_path / "none") == ((), ())


def test_python_files_and_executables_are_tools(folder: Path) -> None:
    put(folder, "b.py")
    put(folder, "a.sh", 0o700)
    put(folder, "read.me")
    for ignored in (".hidden", "_shared.py", "a.sh~"):
        put(folder, ignored)
    (folder / "__pycache__").mkdir()
    assert names(folder) == ["a.sh", "b.py"]
    assert reasons(folder) == {"read.me": "is neither a .py file nor executable"}


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_what_others_can_write_is_refused(folder: Path, mode: int) -> None:
    put(folder, "a.py", mode)
    assert "can be written by others" in reasons(folder)["a.py"]


def test_a_folder_that_others_can_write_is_refused_as_a_whole(folder: Path) -> None:
    put(folder, "a.py")
    folder.chmod(0o770)
    assert names(folder) == []
    assert "the folder can be written by others (mode 0770)" in reasons(folder)["tools"]


def test_a_link_is_judged_by_where_it_leads(folder: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (folder / "a.py").symlink_to(put(shared, "a.py"))
    (folder / "b.py").symlink_to(tmp_path / "gone")
    shared.chmod(0o755)
    assert names(folder) == ["a.py"]
    shared.chmod(0o777)
    assert "its folder can be written by others" in reasons(folder)["a.py"]
    assert "no such file" in reasons(folder)["b.py"]


def test_files_of_somebody_else_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = put(folder, "a.py").stat()
    monkeypatch.setattr(provenance.os, "geteuid", lambda: status.st_uid + 1)
    if status.st_uid == 0:
        # Root's files are everybody's to run; the same numbers with another owner are not.
        status = os.stat_result([4242 if index == 4 else value for index, value in enumerate(status)])
    with pytest.raises(FileRefused, match="it belongs to another user"):
        check_writers(status, "it")


def test_a_pipe_is_no_tool_and_holds_nobody(folder: Path) -> None:
    os.mkfifo(folder / "a.py")
    assert reasons(folder) == {"a.py": "is not a regular file"}


def test_there_is_a_most(folder: Path) -> None:
    for number in range(MAX_FILES + 2):
        put(folder, f"f{number:03}.py")
    assert len(names(folder)) == MAX_FILES
    assert len(reasons(folder)) == 2


def test_an_edit_changes_the_stamp(folder: Path) -> None:
    path = put(folder, "a.py")
    (before,) = tool_files(folder)[0]
    path.write_text("y!")
    (after,) = tool_files(folder)[0]
    assert before != after
