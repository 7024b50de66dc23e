"""Ignore files, held against git itself where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from agentgw_daemon.knowledge.forbidden import Forbidden
from agentgw_daemon.knowledge.ignoring import ignoring_of
from agentgw_daemon.knowledge.walking import harvest


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(root: Path, *exclude: str, at: str = "") -> set[str]:
    found = harvest([str(root / at)], exclude, Forbidden(own=(), environ={}))
    return {found.source.removeprefix(f"{root}/") for found in found.files}


TREE = {
    ".gitignore": "*.log\n/build/\n!important.log\nnotes/**/draft*\n\n# comment\n*.tm[px]\n\\#odd\ntrailing \n",
    "a.txt": "", "a.log": "", "important.log": "", "x.tmp": "", "x.tmz": "", "#odd": "", "trailing": "",
    "build/out.txt": "", "sub/build/out.txt": "",
    "notes/draft.md": "", "notes/deep/er/draft2.md": "", "notes/final.md": "",
    "sub/.gitignore": "!*.log\nlocal.txt\ndeep/\n", "sub/b.log": "", "sub/local.txt": "", "local.txt": "",
    "sub/deep/c.txt": "", "sub/deep/.gitignore": "!c.txt\n",
    "hidden/by/info.txt": "",
}  # fmt: skip


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_files_of_a_work_tree_are_those_that_git_would_take(tmp_path: Path) -> None:
    write(tmp_path, TREE)
    run = ("git", "-C", str(tmp_path), "-c", "core.excludesFile=/dev/null")
    subprocess.run((*run, "init", "-q"), check=True)
    (tmp_path / ".git" / "info" / "exclude").write_text("hidden/\n")
    listed = subprocess.run(
        (*run, "ls-files", "--others", "--exclude-standard", "-z"), check=True, capture_output=True, text=True
    )
    expected = {name for name in listed.stdout.split("\0") if name and not Path(name).name.startswith(".")}
    assert names(tmp_path) == expected
    assert "hidden/by/info.txt" not in expected


def test_rules_of_the_work_tree_around_hold_in_a_folder_of_it(tmp_path: Path) -> None:
    write(tmp_path, TREE | {".git/info/exclude": "secret*\n", "sub/secret.txt": "", "sub/b.txt": ""})
    assert names(tmp_path, at="sub") == {"sub/b.log", "sub/build/out.txt", "sub/b.txt"}


def test_without_a_work_tree_only_the_folders_own_files_count(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "*.txt\n", "inner/.gitignore": "*.log\n", "inner/a.txt": "", "inner/a.log": ""})
    assert names(tmp_path, at="inner") == {"inner/a.txt"}


def test_a_folder_that_is_ignored_is_taken_when_it_is_named(tmp_path: Path) -> None:
    write(tmp_path, {".git/HEAD": "", ".gitignore": "build/\n*.txt\n", "build/a.txt": ""})
    assert names(tmp_path) == set()
    assert names(tmp_path, at="build") == {"build/a.txt"}


def test_a_linked_work_tree_has_the_excludes_of_its_repository(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "repo/.git/info/exclude": "private.txt\n", "repo/.git/worktrees/w/commondir": "../..\n",
            "w/.git": f"gitdir: {tmp_path}/repo/.git/worktrees/w\n", "w/private.txt": "", "w/a.txt": "",
        },
    )  # fmt: skip
    assert names(tmp_path, at="w") == {"w/a.txt"}


def test_excludes_are_lines_of_a_gitignore_and_win(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": "", "b.md": "", "sub/b.md": "", "sub/c.txt": "", ".gitignore": "!b.md\n"})
    assert names(tmp_path, "*.md") == {"a.txt", "sub/c.txt"}
    assert names(tmp_path, "/sub/") == {"a.txt", "b.md"}
    assert names(tmp_path, "*.md", "!/b.md") == {"a.txt", "b.md", "sub/c.txt"}


def test_a_line_that_is_no_pattern_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "!\n*.log\n\\\n", "a.log": "", "a.txt": ""})
    assert names(tmp_path) == {"a.txt"}


def test_an_ignore_file_that_is_no_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").mkdir()
    write(tmp_path, {"a.txt": ""})
    assert names(tmp_path) == {"a.txt"}
    assert not ignoring_of(str(tmp_path), ()).leaves_out(str(tmp_path / "a.txt"), is_directory=False)
