"""A home of its own for every test, and a fake daemon in it on demand."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from agentgw.cli import output
from agentgw.cli.main import run as run_cli
from agentgw.local.directories import prepare
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from agentgw.local.sockets import bind_socket
from tests.client.fakedaemon import FakeDaemon
from tests.patience import PATIENCE_S

Serve = Callable[..., FakeDaemon]
Run = Callable[..., subprocess.CompletedProcess[str]]
Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An AGENTGW_HOME, for this process and those it starts."""
    made = tmp_path / "home"
    for name in ("AGENTGW_SOCKET", "AGENTGW_URL", "AGENTGW_API_KEY", "NO_COLOR", "SUDO_UID", "EDITOR", "VISUAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AGENTGW_HOME", str(made))
    # Times are shown on the clock of whoever reads them.
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return made


@pytest.fixture
def paths(home: Path) -> Paths:
    """The paths of the home; nothing is made yet."""
    return Paths(Environment({"AGENTGW_HOME": str(home)}))


@pytest.fixture
def serve(paths: Paths) -> Iterator[Serve]:
    """Starts a fake daemon in a thread: `serve({"session.list": …})`."""
    with ExitStack() as stack:

        def start(answers: dict[str, Any] | None = None, **options: Any) -> FakeDaemon:
            prepare(paths)
            return stack.enter_context(FakeDaemon(bind_socket(paths), answers, **options))

        yield start


@pytest.fixture
def agentgw(home: Path) -> Run:
    """Runs the command line as a process: `agentgw("run", "hi", stdin="…")`."""

    def run(*words: str, stdin: str | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        return subprocess.run(
            [sys.executable, "-m", "agentgw", *words],
            text=True,
            capture_output=True,
            timeout=PATIENCE_S,
            **given,
            **options,
        )

    return run


@pytest.fixture
def spawned() -> Iterator[list[int]]:
    """Pids of daemons to end after the test."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue


@pytest.fixture
def cli(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs the command line in this process: `status, out, err = cli("status")`. Standard input is empty."""
    monkeypatch.setattr(output, "_quiet", False)

    def call(*words: str) -> tuple[int, str, str]:
        status = run_cli(words)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


class Terminal:
    """A process on a pseudo terminal, which shows what a person would see."""

    def __init__(self, *words: str, environment: dict[str, str] | None = None, columns: int = 80) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agentgw", *words], stdin=slave, stdout=slave, stderr=slave,
            env={**os.environ, **(environment or {})}, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.text = ""

    def wait_for(self, text: str) -> None:
        """Returns when the text is on the screen."""
        while text not in self.text:
            if not self._read():
                raise AssertionError(f"{text!r} not in {self.text!r}")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        """The exit status, when all is printed."""
        while self._read():
            pass
        os.close(self._master)
        return self.process.wait(timeout=PATIENCE_S)

    def _read(self) -> bool:
        if not select.select([self._master], [], [], 20)[0]:
            raise AssertionError(f"nothing more after {self.text!r}")
        try:
            data = os.read(self._master, 65536)
        except OSError:
            # Linux's way to say that nobody has the other side open.
            data = b""
        self.text += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)


@pytest.fixture
def terminal(home: Path) -> Iterator[Callable[..., Terminal]]:
    """Starts the command line on a terminal: `terminal("run", "hi")`."""
    started: list[Terminal] = []

    def start(*words: str, **options: Any) -> Terminal:
        started.append(Terminal(*words, **options))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()
