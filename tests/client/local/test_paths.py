from __future__ import annotations

import os
from pathlib import Path

import platformdirs.macos
import platformdirs.unix
import pytest

from agentgw.local import paths as paths_module
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths, absolute
from agentgw.protocol.errors import DirectoryRefused, UsageError

XDG = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
VARIABLES = (
    {},
    dict.fromkeys(XDG, ""),
    dict.fromkeys(XDG, "relative/dir"),
    dict.fromkeys(XDG, "~/dir"),
    {name: f"/x/{name.lower()}" for name in XDG},
    {name: f"/x/{name.lower()}/" for name in XDG},
    {"XDG_DATA_HOME": "/only/data"},
    {"HOME": ""},
    {"HOME": "relative"},
)


@pytest.fixture
def variables(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in XDG:
        monkeypatch.delenv(name, raising=False)
    made = {"HOME": "/home/someone", **request.param}
    for name, value in made.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a directory that was removed."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()


@pytest.mark.parametrize("variables", VARIABLES, indirect=True)
@pytest.mark.parametrize(
    ("platform", "theirs"), [("linux", platformdirs.unix.Unix), ("darwin", platformdirs.macos.MacOS)]
)
def test_directories_are_those_of_platformdirs(
    platform: str, theirs: type[platformdirs.PlatformDirsABC], variables: dict[str, str]
) -> None:
    ours = Paths(Environment(variables), platform=platform)
    expected = theirs("agentgw", appauthor=False)
    assert ours.config_dir == expected.user_config_dir
    assert ours.data_dir == expected.user_data_dir
    assert ours.state_dir == expected.user_state_dir
    assert ours.cache_dir == expected.user_cache_dir


def test_the_runtime_directory_of_macos_is_that_of_platformdirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("HOME", "/Users/someone")
    ours = Paths(Environment({"HOME": "/Users/someone"}), platform="darwin")
    assert ours.run_dir == platformdirs.macos.MacOS("agentgw", appauthor=False).user_runtime_dir


def test_an_unknown_system_is_left_to_platformdirs(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Paths(Environment({"HOME": "/home/someone"}), platform="freebsd14")
    expected = platformdirs.PlatformDirs("agentgw", appauthor=False)
    assert (ours.data_dir, ours.config_dir) == (expected.user_data_dir, expected.user_config_dir)
    assert ours.run_dir == os.path.join(expected.user_state_dir, "run")


def test_agentgw_home_holds_everything(tmp_path: Path) -> None:
    ours = Paths(Environment({"AGENTGW_HOME": str(tmp_path), "XDG_DATA_HOME": "/elsewhere"}))
    assert ours.directories == tuple(str(tmp_path / name) for name in ("config", "data", "state", "cache", "run"))
    assert ours.config_file == f"{tmp_path}/config/config.toml"
    assert ours.skills_dir == f"{tmp_path}/config/skills"
    assert ours.database == f"{tmp_path}/data/agentgw.db"
    assert ours.lock_file == f"{tmp_path}/data/daemon.lock"
    assert ours.models_dir == f"{tmp_path}/data/models"
    assert ours.log_file == f"{tmp_path}/state/daemon.log"
    assert ours.history_file == f"{tmp_path}/state/repl_history"
    assert ours.socket == f"{tmp_path}/run/agentgw.sock"
    assert ours.spawn_lock == f"{tmp_path}/run/spawn.lock"
    assert ours.warning == ""


def test_a_relative_home_counts_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Paths(Environment({"AGENTGW_HOME": "./here/"})).home == str(tmp_path / "here")


@pytest.mark.usefixtures("nowhere")
def test_a_relative_home_without_a_working_directory_is_refused() -> None:
    with pytest.raises(DirectoryRefused, match="working directory is gone"):
        Paths(Environment({"AGENTGW_HOME": "here"}))


def test_agentgw_socket_is_the_clients_alone(tmp_path: Path) -> None:
    ours = Paths(Environment({"AGENTGW_HOME": str(tmp_path), "AGENTGW_SOCKET": "/other.sock"}))
    assert ours.other_socket == "/other.sock"
    assert ours.socket == f"{tmp_path}/run/agentgw.sock"


class TestRuntimeDirectory:
    """`/run/user/UID` is taken away, so that what is left is the fallback in the state directory."""

    @pytest.fixture(autouse=True)
    def nothing_in_run_user(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = paths_module._runtime_problem
        monkeypatch.setattr(
            paths_module,
            "_runtime_problem",
            lambda path, uid: "is not there" if path.startswith("/run/user/") else real(path, uid),
        )

    @staticmethod
    def paths(runtime_dir: str) -> Paths:
        return Paths(Environment({"HOME": "/home/someone", "XDG_RUNTIME_DIR": runtime_dir}), platform="linux")

    def test_a_private_one_is_taken(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        assert self.paths(str(tmp_path)).run_dir == str(tmp_path / "agentgw")
        assert self.paths(str(tmp_path)).warning == ""

    @pytest.mark.parametrize("mode", [0o755, 0o750, 0o777, 0o1777, 0o701])
    def test_one_open_to_others_is_passed_over_with_a_warning(self, tmp_path: Path, mode: int) -> None:
        tmp_path.chmod(mode)
        ours = self.paths(str(tmp_path))
        assert ours.run_dir == "/home/someone/.local/state/agentgw/run"
        assert "is open to others" in ours.warning
        assert ours.run_dir in ours.warning

    def test_a_missing_a_relative_and_an_unset_one_are_passed_over_with_a_warning(self, tmp_path: Path) -> None:
        for value, why in ((str(tmp_path / "no"), "cannot be used"), ("run", "is relative"), ("", "is not set")):
            ours = self.paths(value)
            assert ours.run_dir == "/home/someone/.local/state/agentgw/run"
            assert why in ours.warning

    def test_a_file_and_a_link_are_passed_over(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        (tmp_path / "file").touch(0o600)
        (tmp_path / "link").symlink_to(tmp_path)
        for name in ("file", "link", "link/"):
            assert "is not a directory" in self.paths(f"{tmp_path}/{name}").warning

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
    def test_one_of_another_user_is_passed_over(self, tmp_path: Path) -> None:
        theirs = tmp_path / "theirs"
        theirs.mkdir(0o700)
        os.chown(theirs, 65534, 65534)
        assert "belongs to uid 65534" in self.paths(str(theirs)).warning

    def test_no_candidate_is_below_the_shared_tmp(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for value in ("", "/tmp", "/nowhere"):
            assert not self.paths(value).run_dir.startswith("/tmp")


def test_run_user_is_taken_without_a_warning_when_the_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths_module, "_runtime_problem", lambda path, uid: "" if path else "is not set")
    ours = Paths(Environment({"HOME": "/home/someone"}), platform="linux")
    assert ours.run_dir == f"/run/user/{os.geteuid()}/agentgw"
    assert ours.warning == ""


def test_an_empty_path_is_not_the_directory_that_one_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert absolute(".") == os.getcwd()
    assert absolute("~/a/../b") == "/home/someone/b"
    with pytest.raises(UsageError, match="a path is empty"):
        absolute("")


@pytest.mark.usefixtures("nowhere")
def test_a_path_that_begins_in_a_directory_that_is_gone_is_told() -> None:
    assert absolute("/a/../b") == "/b"
    with pytest.raises(UsageError, match="notes begins in this directory, which is gone"):
        absolute("notes")
