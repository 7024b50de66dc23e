"""`agentgw service` with a service manager that notes what it is told."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agentgw import __version__
from agentgw.local.paths import Paths
from agentgw.local.service.launchd import LaunchdManager
from agentgw.local.service.manager import DaemonService, problems
from tests.client.commandline import Cli
from tests.client.fakedaemon import Serve
from tests.client.local.service.managers import Programs

OTHERS = ("start", "stop", "uninstall")
JOBS = {"jobs": [{"name": "a", "enabled": False}, {"name": "b", "enabled": True}]}


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory."""
    made = tmp_path / "user"
    made.mkdir()
    monkeypatch.setenv("HOME", str(made))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return made


@pytest.fixture
def systemd(user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A systemd whose socket is not active."""
    made = Programs(tmp_path, "systemctl", "systemd-run")
    made.answer("is-active", 3, "inactive\ninactive\n")
    monkeypatch.setenv("PATH", made.path)
    monkeypatch.setattr(sys, "platform", "linux")
    return made


@pytest.fixture
def units(user: Path) -> Path:
    """The folder of units."""
    return user / ".config" / "systemd" / "user"


def everything(folder: Path) -> dict[str, str]:
    """Files and links with what they hold."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_text()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_install_writes_and_enables_and_does_it_once(cli: Cli, systemd: Programs, units: Path) -> None:
    status, out, err = cli("service", "install")
    assert (status, out) == (0, f"{units}/agentgw.socket\n{units}/agentgw.service\n")
    assert "the daemon starts with the first request after login\n" in err
    assert "agentgw service start" in err
    assert systemd.calls() == [
        "systemctl --user show-environment",
        "systemctl --user daemon-reload",
        "systemctl --user enable agentgw.socket",
        "systemctl --user disable agentgw.service",
        "systemctl --user is-active agentgw.socket agentgw.service",
    ]
    before = everything(units)
    status, out, err = cli("service", "install")
    assert (status, out) == (0, "")
    assert "installed already" in err
    assert everything(units) == before
    assert set(before) == {"agentgw.socket", "agentgw.service", "sockets.target.wants/agentgw.socket"}
    assert (units / "agentgw.service").stat().st_mode & 0o777 == 0o600


def test_now_starts_socket_and_daemon(cli: Cli, systemd: Programs) -> None:
    assert cli("service", "install", "--now")[0] == 0
    assert systemd.calls()[-2:] == [
        "systemctl --user reset-failed agentgw.socket agentgw.service",
        "systemctl --user start agentgw.socket agentgw.service",
    ]


def test_with_an_enabled_job_it_starts_at_login(
    cli: Cli, systemd: Programs, units: Path, serve: Serve, paths: Paths
) -> None:
    serve({"job.list": JOBS})
    Path(paths.config_dir, "jobs.yaml").write_text("jobs: []\n")
    assert "the daemon starts at login" in cli("service", "install")[2]
    assert (units / "default.target.wants" / "agentgw.service").is_symlink()


def test_the_strict_variant_comes_after_its_probe_and_stays(cli: Cli, systemd: Programs, units: Path) -> None:
    strict = units / "agentgw.service.d" / "strict.conf"
    assert cli("service", "install", "--strict")[0] == 0
    (probe,) = [call for call in systemd.calls() if call.startswith("systemd-run --user --wait ")]
    assert " -p PrivateUsers=yes -p ProtectSystem=strict -p ReadWritePaths=-/" in probe
    assert probe.endswith("/bin/agentgw-daemon --version")
    assert strict.exists()
    cli("service", "install")
    assert strict.exists()
    assert json.loads(cli("service", "status", "--json")[1])["strict"] is True
    cli("service", "install", "--no-strict")
    assert not strict.parent.exists()


def test_where_the_probe_fails_nothing_is_written(cli: Cli, systemd: Programs, units: Path) -> None:
    systemd.answer("systemd-run", 1, "Failed to set up user namespacing.\n")
    status, out, err = cli("service", "install", "--strict")
    assert (status, out) == (3, "")
    assert "cannot run the strict variant: Failed to set up user namespacing. run: " in err
    assert not units.exists()


def test_uninstall_leaves_nothing_and_may_be_said_twice(cli: Cli, systemd: Programs, user: Path) -> None:
    cli("service", "install", "--strict")
    systemd.calls()
    status, out, _ = cli("service", "uninstall")
    assert (status, len(out.splitlines())) == (0, 3)
    assert systemd.calls() == [
        "systemctl --user show-environment",
        "systemctl --user disable --now agentgw.socket agentgw.service",
        "systemctl --user daemon-reload",
        "systemctl --user reset-failed agentgw.socket agentgw.service",
    ]
    assert [path for path in user.rglob("*") if "systemd" in path.name] == []
    status, out, err = cli("service", "uninstall")
    assert (status, out, err) == (0, "", "agentgw: no service is installed\n")


def test_uninstall_works_where_the_manager_is_gone(
    cli: Cli, systemd: Programs, user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("service", "install")
    (systemd.bin / "systemctl").unlink()
    monkeypatch.setenv("PATH", str(systemd.bin))
    assert cli("service", "uninstall")[0] == 0
    assert [path for path in user.rglob("*") if "agentgw" in path.name] == []


def test_what_the_user_put_beside_it_stays(cli: Cli, systemd: Programs, units: Path) -> None:
    cli("service", "install", "--strict")
    own = units / "agentgw.service.d" / "keys.conf"
    own.write_text("[Service]\nEnvironment=X=1\n")
    cli("service", "uninstall")
    assert everything(units) == {"agentgw.service.d/keys.conf": own.read_text()}


@pytest.mark.parametrize("name", ["agentgw.socket", "agentgw.service"])
def test_a_unit_of_somebody_else_is_left_alone(cli: Cli, systemd: Programs, units: Path, name: str) -> None:
    units.mkdir(parents=True)
    (units / name).write_text("[Unit]\nDescription=mine\n")
    before = everything(units)
    for verb in ("install", "uninstall"):
        status, out, err = cli("service", verb)
        assert (status, out) == (78, "")
        assert f"{units}/{name} was not written by agentgw. move it away" in err
    assert everything(units) == before


def test_the_service_of_another_home_is_not_replaced(
    cli: Cli, systemd: Programs, units: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("service", "install")
    before = everything(units)
    monkeypatch.setenv("AGENTGW_HOME", str(tmp_path / "other"))
    for verb, said in (("install", "remove it first"), *((verb, "of another AGENTGW_HOME") for verb in OTHERS)):
        status, _, err = cli("service", verb)
        assert (status, said in err) == (78, True), (verb, err)
    assert everything(units) == before
    assert problems(DaemonService(Paths()), 0) == [("info", "the installed service is of another AGENTGW_HOME", "")]


@pytest.mark.parametrize("verb", ["install", "start", "stop"])
def test_without_a_manager_it_says_so(cli: Cli, systemd: Programs, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    systemd.answer("show-environment", 1, "Failed to connect to bus: No medium found\n")
    status, out, err = cli("service", verb)
    assert (status, out) == (3, "")
    assert err.startswith("agentgw: systemd does not manage services of this user: Failed to connect to bus")
    (systemd.bin / "systemctl").unlink()
    monkeypatch.setenv("PATH", str(systemd.bin))
    status, _, err = cli("service", verb)
    assert status == 3
    assert err.startswith("agentgw: systemctl was not found")
    assert err.count("\n") == 1


def test_what_systemd_refuses_is_told_in_its_words(cli: Cli, systemd: Programs) -> None:
    systemd.answer("enable", 1, "Failed to enable unit: Access denied\n")
    status, _, err = cli("service", "install")
    assert status == 3
    assert "enable agentgw.socket failed: Failed to enable unit: Access denied. is " in err


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon that a test serves holds its lock, as real ones do."""
    monkeypatch.setattr("agentgw.local.on_demand.is_locked", lambda path: True)


def test_start_ends_the_daemon_outside_of_it_unless_that_is_busy(
    cli: Cli, systemd: Programs, serve: Serve, locked: None
) -> None:
    cli("service", "install")
    daemon = serve({"daemon.shutdown": {"stopping": False, "reason": "a turn is running"}})
    systemd.calls()
    status, _, err = cli("service", "start")
    assert status == 75
    assert "is busy: a turn is running" in err
    assert daemon.params("daemon.shutdown") == {"upgrade": True}
    assert not [call for call in systemd.calls() if " start " in call]
    systemd.answer("is-active", 0, "active\nactive\n")
    assert cli("service", "start") == (0, "started\n", "")


def test_start_without_a_service_says_how_to_get_one(cli: Cli, systemd: Programs) -> None:
    status, _, err = cli("service", "start")
    assert (status, err) == (3, "agentgw: the service is not installed. run: agentgw service install --now\n")


def test_status_compares_files_and_versions(
    cli: Cli, systemd: Programs, units: Path, serve: Serve, locked: None
) -> None:
    assert cli("service")[:2] == (3, "not installed. to install it: agentgw service install\n")
    cli("service", "install")
    status, out, _ = cli("service", "status", "--json")
    found = json.loads(out)
    assert (status, found["current"], found["enabled"], found["at_login"]) == (0, True, True, False)
    assert (found["running_version"], found["version"]) == (None, __version__)
    assert os.access(found["program"], os.X_OK)
    with (units / "agentgw.service").open("a") as file:
        file.write("Nice=5\n")
    status, out, err = cli("service")
    assert status == 1
    assert "agentgw.service (differs)" in out
    assert "agentgw service install" in err
    cli("service", "install")
    serve(version="3.9.9")
    status, out, _ = cli("service")
    assert status == 1
    assert f"3.9.9, but {__version__} is installed: agentgw restart\n" in out


def test_status_starts_nothing_behind_a_socket_of_the_managers(cli: Cli, systemd: Programs, serve: Serve) -> None:
    cli("service", "install")
    daemon = serve()
    systemd.answer("is-active", 3, "active\ninactive\n")
    assert cli("service", "status")[0] == 0
    assert daemon.received == []


@pytest.fixture
def service(systemd: Programs, paths: Paths) -> DaemonService:
    """The service on this systemd."""
    return DaemonService(paths)


def test_problems_of_a_service_that_is_not_there(service: DaemonService) -> None:
    assert problems(service, 0)[0][0] == "ok"
    assert problems(service, 2)[0][:2] == (
        "warning", "2 jobs are enabled, and nothing starts the daemon at login"
    )  # fmt: skip


def damage_program(units: Path) -> None:
    text = (units / "agentgw.service").read_text()
    (units / "agentgw.service").write_text(text.replace("/bin/agentgw-daemon", "/gone/agentgw-daemon"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda units: (units / "agentgw.socket").unlink(), "agentgw.socket is missing"),
        (damage_program, "gone/agentgw-daemon, which is not there"),
        (lambda units: (units / "sockets.target.wants" / "agentgw.socket").unlink(), "installed and not enabled"),
        (lambda units: (units / "agentgw.service").write_text("x"), "is not what this version writes"),
        (lambda units: None, "the service waits for a request after login"),
    ],
)
def test_problems_name_what_is_wrong(
    cli: Cli, service: DaemonService, units: Path, damage: Callable[[Path], None], said: str
) -> None:
    cli("service", "install")
    assert [severity for severity, _, _ in problems(service, 0)] == ["ok"]
    damage(units)
    found = problems(service, 1)
    assert any(said in message for _, message, _ in found), found
    assert all(fix == "agentgw service install" for _, _, fix in found)


class TestLaunchd:
    @pytest.fixture
    def launchd(self, user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
        made = Programs(tmp_path, "launchctl")
        monkeypatch.setenv("PATH", made.path)
        return made

    @pytest.fixture
    def agent(self, launchd: Programs, paths: Paths) -> DaemonService:
        return DaemonService(paths, platform="darwin")

    def test_it_is_written_loaded_and_removed(self, agent: DaemonService, launchd: Programs, user: Path) -> None:
        plist = user / "Library" / "LaunchAgents" / "org.agentgw.daemon.plist"
        assert agent.install() == (str(plist),)
        assert agent.install() == ()
        assert agent.installed().current
        launchd.calls()
        agent.start()
        domain = f"gui/{os.getuid()}"
        assert launchd.calls()[-3:] == [
            f"launchctl bootout {domain}/org.agentgw.daemon",
            f"launchctl bootstrap {domain} {plist}",
            f"launchctl kickstart {domain}/org.agentgw.daemon",
        ]
        assert agent.uninstall() == (str(plist),)
        assert agent.uninstall() == ()
        assert not plist.exists()

    def test_it_has_no_strict_variant(self, agent: DaemonService) -> None:
        assert "launchd" in agent.manager.probe(agent.setup(at_login=False))

    def test_a_damaged_list_is_no_installed_agent(self, agent: DaemonService, user: Path) -> None:
        agent.install()
        plist = user / "Library" / "LaunchAgents" / "org.agentgw.daemon.plist"
        plist.write_text("<!-- Written by `agentgw service install` --><plist><dict>")
        assert (agent.installed().current, agent.installed().enabled) == (False, False)
        assert isinstance(agent.manager, LaunchdManager)
        assert agent.install() == (str(plist),)
