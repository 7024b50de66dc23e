"""A home of its own for each test, and daemons that end with it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agentgw.local.directories import prepare
from agentgw.local.environment import Environment
from agentgw.local.lifetime import spawn
from agentgw.local.paths import Paths
from agentgw_daemon.lifecycle.socket_name import SocketName
from tests.patience import PATIENCE_S

ENTRY = [sys.executable, "-P", str(Path(__file__).with_name("entry.py"))]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """AGENTGW_HOME, which does not exist yet."""
    place = tmp_path / "home"
    for name in list(os.environ):
        if name.startswith(("AGENTGW_", "LISTEN_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AGENTGW_HOME", str(place))
    return place


@pytest.fixture
def paths(home: Path) -> Paths:
    """The paths below it."""
    return Paths(Environment({"AGENTGW_HOME": str(home)}))


@pytest.fixture
def place(paths: Paths) -> Paths:
    """The paths, with their directories."""
    prepare(paths)
    return paths


@pytest.fixture
def bound(place: Paths) -> Iterator[tuple[SocketName, socket.socket]]:
    """A name that leads to a listening socket of ours."""
    name, listener = SocketName.bind(place)
    with listener:
        yield name, listener


class Children:
    """Processes that a test started; they do not outlive it."""

    def __init__(self) -> None:
        self._pids: list[int] = []
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, command: list[str], **more: Any) -> subprocess.Popen[str]:
        """A child whose output is kept."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, text=True, **{**pipes, **more})
        self._processes.append(process)
        return process

    def adopt(self, pid: int) -> None:
        """A process that something else started."""
        self._pids.append(pid)

    def end(self) -> None:
        """Kill and reap them all."""
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        for process in self._processes:
            with process:
                process.kill()


@pytest.fixture
def children() -> Iterator[Children]:
    """A starter of processes that all end with the test."""
    made = Children()
    yield made
    made.end()


@pytest.fixture
def run(home: Path, children: Children) -> Callable[..., subprocess.Popen[str]]:
    """Starts the entry with these arguments."""

    def start(*arguments: str, env: dict[str, str] | None = None, **more: Any) -> subprocess.Popen[str]:
        return children.start([*ENTRY, *arguments], env={**os.environ, **(env or {})}, **more)

    return start


@pytest.fixture
def finish(run: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, str]]:
    """Runs the entry to its end: exit status and standard error."""

    def end(*arguments: str, **more: Any) -> tuple[int, str]:
        process = run(*arguments, **more)
        _, said = process.communicate(timeout=PATIENCE_S)
        return process.returncode, said

    return end


@pytest.fixture
def spawned(paths: Paths, children: Children) -> Callable[..., dict[str, Any]]:
    """Connects as a client does, which starts the entry when nobody answers; gives what it says of itself."""

    def ask(command: Sequence[str] = (*ENTRY, "--activated")) -> dict[str, Any]:
        connection, child = spawn.connect_or_spawn(paths, command=command)
        if child is not None:
            children.adopt(child.pid)
        with contextlib.closing(connection):
            said = read_all(connection)
        if child is not None:
            if not said:
                raise child.failure(paths)
            child.close()
        answer: dict[str, Any] = json.loads(said)
        return answer

    return ask


def read_all(connection: Any) -> bytes:
    """Everything until the other end closes."""
    connection.settimeout(PATIENCE_S)
    said = b""
    # A listener that goes resets the connections it never accepted.
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            said += part
    return said


def ask(path: str) -> dict[str, Any]:
    """The answer of the entry that listens there, about itself."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        answer: dict[str, Any] = json.loads(read_all(connection))
        return answer


def wait_for_line(process: subprocess.Popen[str], text: str) -> str:
    """The first line of standard error with this text."""
    assert process.stderr is not None
    while select.select([process.stderr], [], [], PATIENCE_S)[0]:
        line = process.stderr.readline()
        if text in line or not line:
            return line
    raise AssertionError(f"nothing said {text!r} in time")


def wait_for_exit(pid: int) -> int:
    """Exit status of a child, negative for a signal."""
    descriptor = os.pidfd_open(pid)
    try:
        assert select.select([descriptor], [], [], PATIENCE_S)[0], "did not end in time"
    finally:
        os.close(descriptor)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def foreign(path: str) -> socket.socket:
    """Another process's listener at this path, moved into place."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(f"{path}.other")
    made.listen()
    os.rename(f"{path}.other", path)
    return made


def can_connect(path: str) -> bool:
    """Tells whether somebody listens there."""
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(path) == 0
