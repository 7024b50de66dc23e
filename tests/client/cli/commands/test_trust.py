"""A project's skills as somebody sees them before agreeing to them, and what then is trusted."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from agentgw.local.paths import Paths
from tests.client.commandline import Cli
from tests.client.fakedaemon import FakeDaemon, Serve
from tests.shell.terminal import Terminal

DEPLOY = {
    "name": "deploy", "description": "Deploys\nit \x1b]52;c;aGk=\x07.", "tier": "project", "files": 2,
    "size_bytes": 1234, "warnings": ["has 1 character that cannot be seen"],
}  # fmt: skip
BAD = {"name": "bad", "description": "", "tier": "project", "files": 0, "size_bytes": 0, "error": "no SKILL.md"}
PROJECT: dict[str, Any] = {"path": "/home/u/work", "state": "untrusted", "sha256": "a" * 64, "skills": [BAD, DEPLOY]}
SHOWN = """\
/home/u/work: 2 skills
  bad
    broken: no SKILL.md
  deploy (project, 2 files, 1 kB)
    Deploys it {}.
    ! has 1 character that cannot be seen
"""


def serving(serve: Serve, **more: Any) -> FakeDaemon:
    project = {**PROJECT, **more}
    return serve(
        {
            "skill.project": project, "skill.trust": {**project, "state": "trusted"}, "skill.distrust": {"ok": True},
            "skill.trusted": {"projects": [{"path": "/a", "state": "changed", "trusted_at": "2026-01-01T00:00:00Z"}]},
        }
    )  # fmt: skip


def test_yes_trusts_exactly_what_was_shown(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    daemon = serving(serve)
    status, out, err = cli("trust", str(tmp_path), "--yes")
    assert (status, out) == (0, SHOWN.format("\\x1b]52;c;aGk=\\x07"))
    assert "until one of their files changes" in err
    assert daemon.params("skill.project") == {"path": str(tmp_path)}
    assert daemon.params("skill.trust") == {"path": "/home/u/work", "sha256": "a" * 64}


def test_a_relative_path_is_made_absolute(cli: Cli, serve: Serve) -> None:
    daemon = serving(serve)
    cli("trust", ".", "--yes")
    assert daemon.params("skill.project") == {"path": os.getcwd()}


def test_without_a_terminal_nothing_is_trusted_and_the_line_is_given(cli: Cli, serve: Serve) -> None:
    daemon = serving(serve, path="/home/u/my work")
    status, out, err = cli("trust", ".")
    assert (status, out.splitlines()[0]) == (2, "/home/u/my work: 2 skills")
    assert err.endswith("then: agentgw trust '/home/u/my work' --yes\n")
    assert "skill.trust" not in daemon.methods()


def test_what_is_trusted_is_not_asked_about_again(cli: Cli, serve: Serve) -> None:
    daemon = serving(serve, state="trusted")
    assert cli("trust", ".")[0] == 0
    assert "skill.trust" not in daemon.methods()


def test_what_cannot_be_trusted_says_why(cli: Cli, serve: Serve) -> None:
    daemon = serving(serve, state="refused", error="x can be written by everybody; chmod o-w it")
    status, out, err = cli("trust", ".", "--yes")
    assert (status, out) == (78, "")
    assert "/home/u/work cannot be trusted: x can be written by everybody" in err
    assert "skill.trust" not in daemon.methods()


def test_json_is_the_daemons_own(cli: Cli, serve: Serve) -> None:
    serving(serve)
    assert json.loads(cli("trust", ".", "--json")[1]) == PROJECT
    assert json.loads(cli("trust", ".", "--json", "--yes")[1])["state"] == "trusted"
    assert json.loads(cli("trust", "--list", "--json")[1])["projects"][0]["path"] == "/a"


def test_the_list_says_what_became_of_each(cli: Cli, serve: Serve) -> None:
    serving(serve)
    assert cli("trust", "--list")[1].splitlines()[1].split() == ["/a", "changed", "2026-01-01", "00:00"]


def test_trust_is_taken_back(cli: Cli, serve: Serve) -> None:
    daemon = serving(serve)
    assert cli("trust", "--revoke", "/gone")[0] == 0
    assert daemon.params("skill.distrust") == {"path": "/gone"}


def test_a_directory_has_to_be_named(cli: Cli) -> None:
    assert cli("trust")[0] == 2
    assert cli("trust", "--revoke")[0] == 2


@pytest.mark.parametrize(("keys", "trusted"), [("y\n", True), ("yes\n", True), ("\n", False), ("n\n", False)])
def test_a_terminal_is_asked_and_shown_no_escape(serve: Serve, paths: Paths, keys: str, trusted: bool) -> None:
    daemon = serving(serve, state="changed")
    with Terminal(
        [sys.executable, "-m", "agentgw", "trust", "."], {**os.environ, "AGENTGW_HOME": paths.home}
    ) as terminal:
        screen = terminal.wait_for("[y/N]")
        assert "changed since they were trusted" in screen
        assert r"Deploys it \x1b]52;c;aGk=\x07." in screen
        terminal.send(keys)
        assert terminal.wait_exit() == (0 if trusted else 1)
    assert ("skill.trust" in daemon.methods()) == trusted
