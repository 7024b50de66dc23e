"""Descriptor 3: whose it is, and whether it is what it should be."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentgw.local.paths import Paths
from agentgw.protocol.errors import ConfigRefused
from agentgw_daemon.lifecycle.activation import close_inherited, giver_of, inherited_socket
from tests.lifecycle.processes import ENTRY, Children, ask, wait_for_line
from tests.patience import PATIENCE_S

PID = 4321


@pytest.mark.parametrize(
    ("environ", "giver"),
    [
        ({"LISTEN_PID": "4321", "LISTEN_FDS": "1"}, "service"),
        ({"LISTEN_PID": "4321", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "rpc:http"}, "service"),
        ({"LISTEN_PID": "4321", "LISTEN_FDS": "1", "AGENTGW_SPAWNED": "1"}, "service"),
        ({"LISTEN_FDS": "1", "AGENTGW_SPAWNED": "1"}, "client"),
        ({"LISTEN_PID": "4320", "LISTEN_FDS": "1"}, "nobody"),
        ({"LISTEN_PID": "4320", "LISTEN_FDS": "1", "AGENTGW_SPAWNED": "1"}, "nobody"),
        ({"LISTEN_PID": "4321", "LISTEN_FDS": "0"}, "nobody"),
        ({"LISTEN_PID": "4321", "LISTEN_FDS": "-1"}, "nobody"),
        ({"LISTEN_PID": "4321", "LISTEN_FDS": "x"}, "nobody"),
        ({"LISTEN_PID": "4321"}, "nobody"),
        ({"LISTEN_PID": "x", "LISTEN_FDS": "1"}, "nobody"),
        ({"LISTEN_FDS": "1"}, "nobody"),
        ({"AGENTGW_SPAWNED": "0"}, "nobody"),
        ({}, "nobody"),
    ],
)
def test_who_gave_the_socket(environ: dict[str, str], giver: str) -> None:
    environ["HOME"] = "/home/x"
    assert giver_of(environ, PID) == giver
    assert environ == {"HOME": "/home/x"}


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    """A listening Unix stream socket."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        made.listen()
        yield made


def test_a_listening_unix_socket_is_taken_and_closed_on_exec(listening: socket.socket) -> None:
    fd = os.dup(listening.fileno())
    os.set_inheritable(fd, True)
    with inherited_socket(fd) as taken:
        assert taken.fileno() == fd
        assert not os.get_inheritable(fd)


def _refusals(tmp_path: Path) -> dict[str, Callable[[], int]]:
    def unlistened() -> int:
        made = socket.socket(socket.AF_UNIX)
        made.bind(str(tmp_path / "u"))
        return made.detach()

    def connected() -> int:
        ours, theirs = socket.socketpair()
        theirs.close()
        return ours.detach()

    def datagram() -> int:
        return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach()

    def tcp() -> int:
        made = socket.socket()
        made.bind(("127.0.0.1", 0))
        made.listen()
        return made.detach()

    def regular() -> int:
        return os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)

    def closed() -> int:
        fd = os.open("/dev/null", os.O_RDONLY)
        os.close(fd)
        return fd

    return {
        "does not listen": unlistened,
        "does not listen ": connected,
        "is not a Unix stream socket": datagram,
        "is not a Unix stream socket ": tcp,
        "is not a socket": regular,
        "cannot be used": closed,
    }


@pytest.mark.parametrize("problem", list(_refusals(Path())))
def test_anything_else_is_refused_and_left_open(problem: str, tmp_path: Path) -> None:
    fd = _refusals(tmp_path)[problem]()
    with pytest.raises(ConfigRefused, match=f"descriptor {fd} {problem.strip()}") as caught:
        inherited_socket(fd)
    assert caught.value.exit_status == 78
    if problem != "cannot be used":
        os.close(fd)


def test_only_descriptors_from_the_first_on_are_closed() -> None:
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(50)]
    # Far above whatever the test runner has open.
    high = os.dup2(fds[0], 700)
    close_inherited(700)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(high)
    for fd in fds:
        os.close(fd)


def test_a_wrong_listen_pid_is_ignored_and_the_daemon_binds_itself(
    run: Callable[..., subprocess.Popen[str]], paths: Paths
) -> None:
    process = run("--activated", "--foreground", env={"LISTEN_PID": "1", "LISTEN_FDS": "1"})
    assert wait_for_line(process, "serving")
    said = ask(paths.socket)
    assert said["managed"] is False
    assert "LISTEN_PID" not in said["environ"]


def test_under_systemds_own_activator(home: Path, paths: Paths, children: Children) -> None:
    """The first connection starts it; its socket is neither removed nor replaced, and a killed one is followed."""
    for directory in (paths.home, paths.run_dir):
        os.mkdir(directory, 0o700)
    activator = "/usr/bin/systemd-socket-activate"
    if not os.path.exists(activator):
        pytest.skip("systemd-socket-activate is not installed")
    keep = [f"--setenv={name}" for name in os.environ]
    process = children.start([activator, "-l", paths.socket, *keep, *ENTRY, "--activated"])
    assert wait_for_line(process, "Listening")
    os.chmod(paths.socket, 0o600)
    inode = os.stat(paths.socket).st_ino
    said = ask(paths.socket)
    assert said["managed"] is True
    assert said["pid"] == process.pid
    assert not {"LISTEN_PID", "LISTEN_FDS"} & set(said["environ"])
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert os.stat(paths.socket).st_ino == inode
    assert stat.S_ISSOCK(os.stat(paths.socket).st_mode)


def test_a_descriptor_that_is_no_listener_is_one_line(home: Path, children: Children) -> None:
    program = f"""
import os
os.dup2(os.open("/dev/null", os.O_RDONLY), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv({ENTRY[0]!r}, {[*ENTRY, "--activated"]!r})
"""
    process = children.start([sys.executable, "-c", program])
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 78
    assert said.startswith("agentgw: --activated: descriptor 3 is not a socket. ")
    assert said.count("\n") == 1
    assert not home.exists()
