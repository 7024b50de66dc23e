"""Facts about an installation in the service's files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from agentgw.local.service.setup import setup_of, stable_command
from agentgw.protocol.errors import ConfigRefused, DirectoryRefused


def program(folder: Path) -> Path:
    """An installed daemon program."""
    folder.mkdir(parents=True)
    made = folder / "agentgw-daemon"
    made.write_text("#!/bin/sh\n")
    made.chmod(0o755)
    return made


def test_the_link_of_pipx_comes_before_the_directory_it_leads_to(tmp_path: Path) -> None:
    own = program(tmp_path / "venvs" / "agentgw-4.1" / "bin")
    link = tmp_path / "home" / ".local" / "bin" / "agentgw-daemon"
    link.parent.mkdir(parents=True)
    link.symlink_to(own)
    environment = Environment({"HOME": str(tmp_path / "home"), "PATH": "/usr/bin"})
    assert stable_command(environment, prefix=str(tmp_path / "venvs" / "agentgw-4.1")) == (str(link),)


def test_a_link_on_path_counts_and_another_installation_does_not(tmp_path: Path) -> None:
    own = program(tmp_path / "venv" / "bin")
    program(tmp_path / "other")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "agentgw-daemon").symlink_to(own)
    environment = Environment({"HOME": str(tmp_path), "PATH": f"relative:{tmp_path}/other:{linked}"})
    assert stable_command(environment, prefix=str(tmp_path / "venv")) == (str(linked / "agentgw-daemon"),)


def test_otherwise_it_is_the_environments_own_program(tmp_path: Path) -> None:
    own = program(tmp_path / "venv" / "bin")
    environment = Environment({"HOME": str(tmp_path), "PATH": "/usr/bin"})
    assert stable_command(environment, prefix=str(tmp_path / "venv")) == (str(own),)
    assert stable_command(environment, prefix=str(tmp_path / "none"))[1:] == ("-P", "-m", "agentgw_daemon")


def test_only_variables_that_say_where_files_are_get_into_it() -> None:
    variables = {
        # Nothing is made there; a socket below a test's own folder may be too long a path.
        "HOME": "/u", "XDG_DATA_HOME": "/d", "XDG_CACHE_HOME": "relative", "WORK_API_KEY": "secret",
        "AGENTGW_API_KEY": "secret",
    }  # fmt: skip
    environment = Environment(variables)
    made = setup_of(Paths(environment), environment, at_login=True)
    assert made.variables == (("XDG_DATA_HOME", "/d"),)
    assert "secret" not in repr(made)


def test_a_home_of_ones_own_is_all_that_is_needed() -> None:
    environment = Environment({"AGENTGW_HOME": "/h/", "XDG_DATA_HOME": "/d", "HOME": "/u"})
    made = setup_of(Paths(environment), environment, at_login=False)
    assert made.variables == (("AGENTGW_HOME", "/h"),)
    assert made.socket == "/h/run/agentgw.sock"


@pytest.mark.parametrize("home", ["/h\nExecStartPre=/bin/evil", "/h\x1b", os.fsdecode(b"/h\xff")])
def test_a_path_that_no_unit_can_name_is_refused(home: str) -> None:
    environment = Environment({"AGENTGW_HOME": home, "HOME": "/u"})
    with pytest.raises(ConfigRefused, match="no unit can name the path"):
        setup_of(Paths(environment), environment, at_login=False)


def test_a_socket_path_that_is_too_long_is_refused() -> None:
    environment = Environment({"AGENTGW_HOME": "/" + "h" * 100, "HOME": "/u"})
    with pytest.raises(DirectoryRefused, match="more than"):
        setup_of(Paths(environment), environment, at_login=False)
