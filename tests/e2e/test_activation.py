"""A listening socket from a service manager: systemd's protocol, spoken by a small parent."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.home import Home, gone, kill, until
from tests.e2e.wire import Wire
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.e2e

# Descriptor 3 is the socket. LISTEN_PID is only known after the fork, and exec keeps it.
PROGRAM = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ["LISTEN_PID"] = sys.argv[2].replace("self", str(os.getpid()))
os.environ["LISTEN_FDS"] = "1"
os.execv(sys.executable, [sys.executable, "-P", "-m", "agentgw_daemon", "--activated"])
"""


class Manager:
    """Holds the listening socket and starts the daemon for it, as often as need be."""

    def __init__(self, home: Home, path: Path) -> None:
        self._home = home
        for folder in (home.path, path.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        path.chmod(0o600)
        self.listener.listen(64)
        self.started: list[subprocess.Popen[bytes]] = []

    def start_daemon(self, *, pid: str = "self") -> subprocess.Popen[bytes]:
        """The daemon, with LISTEN_PID as it should be or as it is said here."""
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(self.listener.fileno()), pid],
            env=self._home.environ, pass_fds=[self.listener.fileno()], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.started.append(child)
        return child


@pytest.fixture
def manager(home: Home) -> Iterator[Manager]:
    """The manager of the usual socket."""
    made = Manager(home, home.socket)
    yield made
    made.listener.close()
    for child in made.started:
        with child:
            child.kill()


def test_the_first_request_waits_for_the_daemon_and_is_served(home: Home, manager: Manager) -> None:
    with home.connect() as wire:
        request_id = wire.request("turn.start", message="first", model="echo")
        manager.start_daemon()
        assert wire.outcome(request_id)[1]["text"] == "first"


def test_the_socket_belongs_to_the_manager(home: Home, manager: Manager) -> None:
    """The daemon neither removes it nor shuts it down, and the next daemon serves the same one."""
    before = os.stat(home.socket).st_ino
    first = manager.start_daemon()
    with home.connect() as wire:
        assert wire.call("ping") == "pong"
        wire.call("daemon.shutdown")
    assert first.wait(30) == 0
    assert os.stat(home.socket).st_ino == before
    with home.connect() as wire:
        request_id = wire.request("ping")
        second = manager.start_daemon()
        assert wire.outcome(request_id)[1] == "pong"
    kill(second.pid)
    assert os.stat(home.socket).st_ino == before
    with home.connect() as wire:
        request_id = wire.request("ping")
        manager.start_daemon()
        assert wire.outcome(request_id)[1] == "pong"


def test_the_command_line_talks_to_an_activated_daemon(home: Home, manager: Manager) -> None:
    daemon = manager.start_daemon()
    assert home.ask("run", "-m", "echo", "hi") == "hi\n"
    assert home.daemons() == [daemon.pid]
    with gone(daemon.pid):
        assert home.ask("stop") == "stopped\n"
    assert home.socket.exists()


def test_a_socket_meant_for_another_process_is_left_alone(home: Home) -> None:
    elsewhere = Manager(home, home.root / "elsewhere.sock")
    try:
        daemon = elsewhere.start_daemon(pid="1")
        until(home.socket.exists, "the daemon has a socket of its own")
        with home.connect() as wire:
            assert wire.call("daemon.status")["pid"] == daemon.pid
        with Wire(str(home.root / "elsewhere.sock")) as wire:
            wire.request("ping")
            # The daemon does not take it: the connection is still in the backlog.
            elsewhere.listener.settimeout(5)
            connection, _ = elsewhere.listener.accept()
            connection.close()
    finally:
        elsewhere.listener.close()
        for child in elsewhere.started:
            with child:
                child.terminate()


def test_a_descriptor_that_is_no_listening_socket_is_refused(home: Home) -> None:
    home.path.mkdir(mode=0o700)
    with open(os.devnull) as file:
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(file.fileno()), "self"], env=home.environ, pass_fds=[file.fileno()],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        _, said = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 78
    assert said.startswith(b"agentgw: --activated: descriptor 3 is not a socket")
    assert said.count(b"\n") == 1
