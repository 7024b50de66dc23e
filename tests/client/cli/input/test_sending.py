from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from agentgw.cli.input.sending import files_of, uploaded_name
from agentgw.protocol.errors import UsageError


def fill(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def names(folder: Path, *exclude: str) -> list[str]:
    return [str(Path(path).relative_to(folder)) for path in files_of([str(folder)], list(exclude))]


def test_a_folder_is_its_files_without_hidden_ones_links_and_keys(tmp_path: Path) -> None:
    fill(tmp_path, "b.md", "a/c.md", ".env", ".git/config", "a/.x/y", "id_rsa", "tls.PEM", "a/id_ed25519.pub")
    (tmp_path / "link.md").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    assert names(tmp_path) == ["a/c.md", "b.md"]


def test_globs_leave_files_and_folders_out(tmp_path: Path) -> None:
    fill(tmp_path, "a.md", "a.log", "build/x.md", "src/build/y.md", "src/z.md")
    assert names(tmp_path, "*.log", "build/") == ["a.md", "src/z.md"]
    assert names(tmp_path, "src/z.md") == ["a.log", "a.md", "build/x.md", "src/build/y.md"]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_what_git_ignores_is_not_sent(tmp_path: Path) -> None:
    fill(tmp_path, "a.md", "secret.txt", "sub/b.md", "sub/secret.txt")
    (tmp_path / ".gitignore").write_text("secret.txt\n")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    assert names(tmp_path) == ["a.md", "sub/b.md"]


def test_rules_that_nobody_here_reads_are_no_reason_to_send_all(tmp_path: Path) -> None:
    fill(tmp_path, "a.md", "sub/b.md")
    (tmp_path / "sub" / ".gitignore").write_text("b.md\n")
    with pytest.raises(UsageError, match="says what to leave out"):
        names(tmp_path)


def test_a_file_that_is_named_is_sent_whatever_its_name(tmp_path: Path) -> None:
    fill(tmp_path, ".hidden.md")
    path = str(tmp_path / ".hidden.md")
    assert files_of([path, path], []) == [path]


def test_what_is_not_there_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is not there"):
        files_of([str(tmp_path / "nothing")], [])


def test_the_name_says_which_machine_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    host, _, path = uploaded_name("x.md").partition(":")
    assert host
    assert path == "/x.md"
