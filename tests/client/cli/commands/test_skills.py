"""`agentgw skills edit`, `remove` and `new`: whose skills they touch."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from agentgw.cli.commands import skills
from agentgw.local.directories import make_private, prepare
from agentgw.local.files.shipped import shipped
from agentgw.local.paths import Paths
from agentgw_daemon.skills import routing
from tests.client.commandline import Cli
from tests.client.fakedaemon import Failure, Serve

OK: dict[str, Any] = {"ok": True, "problems": []}


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Says in this file what it was given."""
    said = tmp_path / "said"
    program = tmp_path / "editor"
    program.write_text(f'#!/bin/sh\necho "$@" > {said}\n')
    program.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(program))
    return said


def own(paths: Paths, name: str) -> Path:
    prepare(paths)
    make_private(paths.skills_dir)
    path = Path(paths.skills_dir, name, "SKILL.md")
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text("mine")
    return path


def row(name: str, tier: str, path: object, **fields: Any) -> dict[str, Any]:
    return {"name": name, "description": "d", "tier": tier, "path": str(path), **fields}


@pytest.mark.parametrize("name", ["code-assistant", "summarize_document"])
def test_new_does_not_take_the_place_of_a_shipped_skill(cli: Cli, name: str, paths: Paths) -> None:
    status, out, err = cli("skills", "new", name)
    assert (status, out) == (1, "")
    assert "and yours would take its place. take another name" in err
    assert not Path(paths.skills_dir).exists()


def test_edit_opens_the_users_own_file_and_checks_it(cli: Cli, serve: Serve, paths: Paths, editor: Path) -> None:
    path = own(paths, "cook")
    daemon = serve({"skill.list": {"skills": [row("cook", "user", path)]}, "skill.validate": OK})
    assert cli("skills", "edit", "Cook") == (0, f"{path}\n", "")
    assert editor.read_text() == f"{path}\n"
    assert daemon.params("skill.validate") == {"path": str(path)}
    daemon.answers["skill.validate"] = {"ok": False, "problems": ["there is no description"]}
    assert cli("skills", "edit", "cook") == (1, f"{path}\n", "agentgw: there is no description\n")


def test_edit_of_a_shipped_skill_opens_a_copy(cli: Cli, serve: Serve, paths: Paths, editor: Path) -> None:
    source = Path(shipped("skills"), "code-assistant", "SKILL.md")
    serve({"skill.list": {"skills": [row("code-assistant", "shipped", source)]}, "skill.validate": OK})
    copy = Path(paths.skills_dir, "code-assistant", "SKILL.md")
    status, out, err = cli("skills", "edit", "code-assistant")
    assert (status, out) == (0, f"{copy}\n")
    assert err == "agentgw: code-assistant is agentgw's own: this is a copy, which takes its place\n"
    assert copy.read_bytes() == source.read_bytes()
    assert [stat.S_IMODE(place.stat().st_mode) for place in (copy.parent, copy)] == [0o700, 0o600]


def test_edit_of_a_broken_skill_opens_it_although_another_stands_in(
    cli: Cli, serve: Serve, paths: Paths, editor: Path
) -> None:
    path = own(paths, "cook")
    rows = [row("cook", "shipped", "/x/cook/SKILL.md"), row("cook", "user", path.parent, error="no description")]
    serve({"skill.list": {"skills": rows}, "skill.validate": OK})
    assert cli("skills", "edit", "cook")[0] == 0
    assert editor.read_text() == f"{path}\n"


def test_a_skill_that_does_not_exist_is_told(cli: Cli, serve: Serve) -> None:
    none = Failure(-32001, "there is no skill cok", hint="did you mean cook?")
    serve({"skill.list": {"skills": []}, "skill.get": none})
    for verb in ("edit", "remove"):
        assert cli("skills", verb, "cok") == (1, "", "agentgw: there is no skill cok. did you mean cook?\n")


def test_remove_deletes_the_users_own_folder_and_nothing_else(cli: Cli, serve: Serve, paths: Paths) -> None:
    path, other = own(paths, "cook"), own(paths, "bake")
    serve({"skill.list": {"skills": [row("cook", "user", path)]}})
    assert cli("skills", "remove", "cook", "-y") == (0, "", f"agentgw: removed {path.parent}\n")
    assert not path.parent.exists()
    assert other.exists()


def test_remove_of_a_link_leaves_what_it_leads_to(cli: Cli, serve: Serve, paths: Paths, tmp_path: Path) -> None:
    own(paths, "bake")
    real = tmp_path / "real"
    real.mkdir()
    (real / "SKILL.md").write_text("x")
    link = Path(paths.skills_dir, "cook")
    link.symlink_to(real)
    serve({"skill.list": {"skills": [row("cook", "user", link / "SKILL.md")]}})
    assert cli("skills", "remove", "cook", "-y")[0] == 0
    assert not link.is_symlink()
    assert (real / "SKILL.md").exists()


@pytest.mark.parametrize(("tier", "words"), [("shipped", "is agentgw's own"), ("project", "which is not agentgw's")])
def test_remove_refuses_what_is_not_the_users(cli: Cli, serve: Serve, tmp_path: Path, tier: str, words: str) -> None:
    path = tmp_path / "cook" / "SKILL.md"
    path.parent.mkdir()
    path.write_text("x")
    serve({"skill.list": {"skills": [row("cook", tier, path)]}})
    status, _, err = cli("skills", "remove", "cook", "-y")
    assert status == 2
    assert words in err
    assert path.exists()


def test_remove_refuses_a_path_that_is_not_in_the_users_folder(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "cook" / "SKILL.md"
    path.parent.mkdir(parents=True)
    path.write_text("x")
    serve({"skill.list": {"skills": [row("cook", "user", path)]}})
    assert cli("skills", "remove", "cook", "-y")[0] == 2
    assert path.exists()


def test_remove_asks_a_person(cli: Cli, serve: Serve, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    path = own(paths, "cook")
    serve({"skill.list": {"skills": [row("cook", "user", path)]}})
    monkeypatch.setattr("agentgw.cli.commands.skills.is_interactive", lambda: True)
    monkeypatch.setattr("sys.stdin.readline", lambda: "\n")
    assert cli("skills", "remove", "cook")[0] == 1
    assert path.exists()


def test_the_word_for_a_choice_is_the_daemons() -> None:
    assert skills.AUTO == routing.AUTO
