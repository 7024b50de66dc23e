"""The text of units and property lists: what it says, and that those who read it understand it."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from agentgw.local.files.shipped import shipped
from agentgw.local.service.setup import ServiceSetup
from agentgw.local.service.units import UnitDirectories, agent_plist, service_unit, socket_unit, strict_drop_in

PLACES = UnitDirectories(home="/home/u", runtime="/run/user/1000")
SETUP = ServiceSetup(
    command=("/home/u/.local/bin/agentgw-daemon",),
    socket="/run/user/1000/agentgw/agentgw.sock",
    variables=(),
    writable=("/home/u/.config/agentgw", "/home/u/.local/share/agentgw", "/run/user/1000/agentgw"),
    at_login=False,
)
ODD = replace(
    SETUP,
    command=("/home/u/my $x 100%/bin/agentgw-daemon", "-P", "a$b"),
    socket='/home/u/a "b" 5%/agentgw.sock',
    variables=(("AGENTGW_HOME", '/home/u/a "b" 5%\\'),),
    writable=('/home/u/a "b" 5%',),
)


def settings(text: str) -> list[str]:
    """The lines that say something."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_socket_unit_says() -> None:
    assert settings(socket_unit(SETUP, PLACES)) == [
        "[Unit]",
        "Description=agentgw RPC socket",
        "[Socket]",
        "ListenStream=%t/agentgw/agentgw.sock",
        "SocketMode=0600",
        "DirectoryMode=0700",
        "Backlog=4096",
        "FileDescriptorName=rpc",
        "RemoveOnStop=yes",
        "TriggerLimitIntervalSec=10s",
        "TriggerLimitBurst=10",
        "[Install]",
        "WantedBy=sockets.target",
    ]


def test_the_service_unit_says() -> None:
    assert settings(service_unit(SETUP, PLACES)) == [
        "[Unit]",
        "Description=agentgw local AI agent daemon",
        "Requires=agentgw.socket",
        "After=agentgw.socket",
        "StartLimitIntervalSec=60",
        "StartLimitBurst=5",
        "[Service]",
        "Type=notify",
        "NotifyAccess=main",
        "ExecStart=%h/.local/bin/agentgw-daemon --activated",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "TimeoutStartSec=300",
        "WatchdogSec=60",
        "TimeoutStopSec=20",
        "KillMode=mixed",
        "Restart=on-failure",
        "RestartSec=1",
        "RestartPreventExitStatus=78",
        "UMask=0077",
        "LimitCORE=0",
        "LimitNOFILE=4096",
        "TasksMax=1024",
        "MemoryMax=85%",
        "OOMPolicy=continue",
        "KeyringMode=private",
        "NoNewPrivileges=yes",
        "LockPersonality=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "RestrictNamespaces=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
        "SystemCallErrorNumber=EPERM",
        "[Install]",
        "WantedBy=default.target",
    ]


def test_the_strict_drop_in_says() -> None:
    assert settings(strict_drop_in(SETUP, PLACES)) == [
        "[Service]",
        "PrivateUsers=yes",
        "ProtectSystem=strict",
        "ReadWritePaths=-%h/.config/agentgw -%h/.local/share/agentgw -%t/agentgw",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "ProtectClock=yes",
        "ProtectHostname=yes",
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelLogs=yes",
        "PrivateIPC=yes",
        "CapabilityBoundingSet=",
    ]


def test_what_a_unit_would_expand_is_written_so_that_it_does_not() -> None:
    service = service_unit(ODD, PLACES)
    assert 'ExecStart="%h/my $x 100%%/bin/agentgw-daemon" -P a$$b --activated\n' in service
    assert 'Environment="AGENTGW_HOME=%h/a \\"b\\" 5%%\\\\"\n' in service
    assert 'ListenStream=%h/a "b" 5%%/agentgw.sock\n' in socket_unit(ODD, PLACES)
    assert 'ReadWritePaths="-%h/a \\"b\\" 5%%"\n' in strict_drop_in(ODD, PLACES)


def test_a_directory_with_the_homes_name_as_its_start_is_not_the_home() -> None:
    there = replace(SETUP, command=("/home/user2/bin/agentgw-daemon",))
    assert "ExecStart=/home/user2/bin/agentgw-daemon --activated\n" in service_unit(there, PLACES)


def test_variables_follow_the_command() -> None:
    text = service_unit(replace(SETUP, variables=(("XDG_DATA_HOME", "/d"), ("XDG_CACHE_HOME", "/c"))), PLACES)
    command = "ExecStart=%h/.local/bin/agentgw-daemon --activated\n"
    assert f"{command}Environment=XDG_DATA_HOME=/d\nEnvironment=XDG_CACHE_HOME=/c\nExecReload=" in text


def test_the_shipped_units_are_those_of_the_usual_places() -> None:
    """The units can also be copied by hand, or packaged."""
    folders = [f"/home/u/{name}/agentgw" for name in (".config", ".local/share", ".local/state", ".cache")]
    usual = replace(SETUP, writable=(*folders, "/run/user/1000/agentgw"))
    folder = Path(shipped("systemd-user"))
    assert socket_unit(usual, PLACES) == (folder / "agentgw.socket").read_text()
    assert service_unit(usual, PLACES) == (folder / "agentgw.service").read_text()
    assert strict_drop_in(usual, PLACES) == (folder / "strict.conf").read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("setup", [SETUP, ODD], ids=["usual", "odd"])
def test_systemd_finds_nothing_wrong(tmp_path: Path, setup: ServiceSetup) -> None:
    home = tmp_path / "home"
    places = UnitDirectories(home=str(home), runtime="/run/user/1000")
    there = replace(setup, command=(setup.command[0].replace("/home/u", str(home)), *setup.command[1:]))
    program = Path(there.command[0])
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "agentgw.service.d").mkdir()
    (tmp_path / "agentgw.socket").write_text(socket_unit(there, places))
    (tmp_path / "agentgw.service").write_text(service_unit(there, places))
    (tmp_path / "agentgw.service.d" / "strict.conf").write_text(strict_drop_in(there, places))
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(tmp_path / "agentgw.service"), str(tmp_path / "agentgw.socket")],
        env={"PATH": os.defpath, "HOME": str(home), "XDG_RUNTIME_DIR": str(runtime)}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_the_agent_is_a_property_list_that_says() -> None:
    odd = replace(ODD, command=("/Users/u/<a> & b/agentgw-daemon",), at_login=True)
    assert plistlib.loads(agent_plist(odd, "/Users/u/l&g").encode()) == {
        "Label": "org.agentgw.daemon",
        "ProgramArguments": ["/Users/u/<a> & b/agentgw-daemon", "--activated"],
        "EnvironmentVariables": {"AGENTGW_HOME": '/home/u/a "b" 5%\\'},
        "Sockets": {
            "rpc": {
                "SockType": "stream", "SockPassive": True, "SockPathName": '/home/u/a "b" 5%/agentgw.sock',
                "SockPathMode": 0o600,
            }
        },
        "RunAtLoad": True,
        "Umask": 0o077,
        "ExitTimeOut": 20,
        "SoftResourceLimits": {"Core": 0, "NumberOfFiles": 4096},
        "HardResourceLimits": {"Core": 0, "NumberOfFiles": 4096},
        "ProcessType": "Adaptive",
        "StandardOutPath": "/Users/u/l&g",
        "StandardErrorPath": "/Users/u/l&g",
    }  # fmt: skip
    usual = plistlib.loads(agent_plist(SETUP, "/l").encode())
    assert (usual["RunAtLoad"], usual["EnvironmentVariables"]) == (False, {})


@pytest.mark.parametrize("folder", ["systemd-user", "launchd"])
def test_the_templates_are_shipped(folder: str) -> None:
    assert os.listdir(shipped(folder))
