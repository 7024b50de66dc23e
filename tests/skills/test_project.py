"""Place of a project, and the hash of everything in its skill folders."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agentgw_daemon.skills import project as projects
from agentgw_daemon.skills.project import find_project, skill_folders, skill_names, take_snapshot
from agentgw_daemon.skills.source import SourceRefused
from tests.skills.folders import write_skill


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    return made


@pytest.fixture
def project(home: Path) -> Path:
    made = home / "work"
    write_skill(made / ".agents" / "skills", "mine")
    write_skill(made / ".agentgw" / "skills", "ours")
    return made


@pytest.mark.parametrize("mark", [".agentgw", ".agents", ".git"])
def test_a_project_is_the_nearest_directory_with_a_mark(home: Path, mark: str) -> None:
    (home / "outer" / ".agents").mkdir(parents=True)
    below = home / "outer" / "inner" / "src"
    below.mkdir(parents=True)
    assert find_project(str(below), home) == home / "outer"
    (home / "outer" / "inner" / mark).mkdir()
    assert find_project(str(below), home) == home / "outer" / "inner"
    assert find_project(str(home / "outer" / "inner"), home) == home / "outer" / "inner"


def test_a_worktree_whose_git_is_a_file_is_a_project(home: Path) -> None:
    (home / "tree").mkdir()
    (home / "tree" / ".git").write_text("gitdir: elsewhere\n")
    assert find_project(str(home / "tree"), home) == home / "tree"


def test_a_file_of_that_name_is_no_mark(home: Path) -> None:
    (home / "notes").mkdir()
    (home / "notes" / ".agents").write_text("")
    assert find_project(str(home / "notes"), home) is None


def test_home_and_what_is_above_it_are_no_projects(home: Path, tmp_path: Path) -> None:
    for folder in (home, tmp_path):
        (folder / ".agents" / "skills").mkdir(parents=True)
    (home / "notes").mkdir()
    assert find_project(str(home / "notes"), home) is None
    assert find_project(str(home), home) is None
    assert find_project("/", home) is None


@pytest.mark.parametrize("cwd", ["", ".", "work", "/a\0b"])
def test_what_is_no_absolute_path_is_in_no_project(home: Path, cwd: str) -> None:
    assert find_project(cwd, home) is None


def test_a_directory_that_is_gone_is_in_the_project_that_is_left(project: Path, home: Path) -> None:
    assert find_project(str(project / "gone" / "deeper"), home) == project


def test_a_link_to_a_project_is_that_project(project: Path, home: Path) -> None:
    (home / "link").symlink_to(project)
    assert find_project(str(home / "link"), home) == project


def test_the_way_up_is_bounded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projects, "_MAX_LEVELS", 3)
    (home / "p" / ".agents").mkdir(parents=True)
    assert find_project(str(home / "p" / "1" / "2"), home) == home / "p"
    assert find_project(str(home / "p" / "1" / "2" / "3"), home) is None


def test_names_are_listed_without_a_look_at_any_file(project: Path) -> None:
    (project / ".agents" / "skills" / "old.yaml").write_text("name: old\n")
    (project / ".agents" / "skills" / "README.md").write_text("x")
    (project / ".agents" / "skills" / ".hidden").mkdir()
    os.mkfifo(project / ".agentgw" / "skills" / "fifo.yaml")
    assert [(tier, path.name) for tier, path in skill_names(project)] == [
        ("project-agents", "mine"), ("project-agents", "old.yaml"), ("project", "fifo.yaml"), ("project", "ours"),
    ]  # fmt: skip


def test_the_tiers_are_there_lowest_first(project: Path) -> None:
    assert skill_folders(project) == (
        ("project-agents", project / ".agents" / "skills"), ("project", project / ".agentgw" / "skills"),
    )  # fmt: skip
    assert take_snapshot(project).tiers == skill_folders(project)


def _rename(project: Path) -> None:
    (project / ".agents/skills/mine/SKILL.md").rename(project / ".agents/skills/mine/OTHER.md")


def _move_a_byte_between_name_and_content(project: Path) -> None:
    (project / ".agents/skills/mine/a").write_text("bc")
    (project / ".agents/skills/mine/ab").unlink()


CHANGES: list[Callable[[Path], object]] = [
    lambda at: (at / ".agents/skills/mine/SKILL.md").write_text("x"),
    lambda at: (at / ".agents/skills/mine/more.md").write_text(""),
    lambda at: (at / ".agents/skills/mine/.hidden").write_text(""),
    lambda at: (at / ".agents/skills/empty").mkdir(),
    lambda at: (at / ".agents/skills/mine/SKILL.md").unlink(),
    lambda at: (at / ".agents/skills").rename(at / ".agentgw/skills/ours/skills"),
    lambda at: (at / ".agents/skills/mine/link").symlink_to("SKILL.md"),
    _rename,
    _move_a_byte_between_name_and_content,
]


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_name_or_a_content_is_another_hash(project: Path, change: Callable[[Path], object]) -> None:
    (project / ".agents/skills/mine/ab").write_text("c")
    before = take_snapshot(project).sha256
    change(project)
    assert take_snapshot(project).sha256 != before


def test_the_same_skills_in_the_other_folder_are_another_hash(home: Path) -> None:
    write_skill(home / "a" / ".agents" / "skills", "mine")
    write_skill(home / "b" / ".agentgw" / "skills", "mine")
    assert take_snapshot(home / "a").sha256 != take_snapshot(home / "b").sha256


def test_times_and_other_files_of_the_project_do_not_count(project: Path) -> None:
    before = take_snapshot(project).sha256
    os.utime(project / ".agents/skills/mine/SKILL.md", (0, 0))
    (project / "source.py").write_text("x")
    assert take_snapshot(project).sha256 == before


def test_a_skill_folder_may_be_a_link_inside_the_project(project: Path) -> None:
    write_skill(project / ".claude" / "skills", "theirs")
    (project / ".agents/skills").rename(project / "was")
    (project / ".agents/skills").symlink_to("../.claude/skills")
    taken = take_snapshot(project)
    assert taken.tiers[0] == ("project-agents", project / ".claude" / "skills")
    assert project / ".claude/skills/theirs/SKILL.md" in taken.files


def _agents_out(at: Path) -> None:
    (at / ".agents").rename(at / "was")
    write_skill(at.parent / "outside" / "skills", "evil")
    (at / ".agents").symlink_to(at.parent / "outside")


def _fifo(at: Path) -> None:
    os.mkfifo(at / ".agents/skills/mine/fifo")


def _socket_name(at: Path) -> None:
    os.mknod(at / ".agents/skills/mine/socket", 0o140600)


def _deep(at: Path) -> None:
    (at / ".agents/skills/mine" / "/".join("d" * 40)).mkdir(parents=True)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "link to a file": (lambda at: (at / ".agents/skills/mine/x").symlink_to("/etc/passwd"), "leads out of"),
    "link to a folder": (lambda at: (at / ".agents/skills/mine/x").symlink_to(at), "leads out of"),
    "dangling link": (lambda at: (at / ".agents/skills/mine/x").symlink_to("gone"), "no such file"),
    "loop": (lambda at: (at / ".agents/skills/mine/x").symlink_to("x"), "symbolic links"),
    "agents folder": (_agents_out, "leads out of"),
    "fifo": (_fifo, "not a regular file"),
    "socket": (_socket_name, "no such device or address"),
    "writable file": (lambda at: (at / ".agents/skills/mine/SKILL.md").chmod(0o666), "can be written by everybody"),
    "writable folder": (lambda at: (at / ".agents/skills/mine").chmod(0o777), "can be written by everybody"),
    "writable tier": (lambda at: (at / ".agents/skills").chmod(0o777), "can be written by everybody"),
    "writable agents": (lambda at: (at / ".agents").chmod(0o777), "can be written by everybody"),
    "writable project": (lambda at: at.chmod(0o777), "can be written by everybody"),
    "deep": (_deep, "nested deeper than"),
}


@pytest.mark.parametrize(("spoil", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_pinned_is_refused_with_its_name(
    project: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    spoil(project)
    with pytest.raises(SourceRefused, match=reason):
        take_snapshot(project)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("which", ["", ".agents", ".agents/skills", ".agents/skills/mine/SKILL.md"])
def test_what_belongs_to_another_user_is_refused(project: Path, which: str) -> None:
    os.chown(project / which, 65534, 65534)
    with pytest.raises(SourceRefused, match="belongs to another user"):
        take_snapshot(project)


def test_the_amount_is_bounded(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projects, "_MAX_BYTES", 1 << 20)
    (project / ".agents/skills/mine/big").write_bytes(b"x" * (1 << 20))
    with pytest.raises(SourceRefused, match="more than 1 MiB"):
        take_snapshot(project)
    (project / ".agents/skills/mine/big").unlink()
    monkeypatch.setattr(projects, "_MAX_FILES", 4)
    take_snapshot(project)
    (project / ".agents/skills/mine/one-more").write_text("")
    with pytest.raises(SourceRefused, match="more than 4 files"):
        take_snapshot(project)
