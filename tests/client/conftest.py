"""A home of its own for every test, and a fake daemon in it on demand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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
from tests.client.commandline import Cli, Run, Terminal
from tests.client.fakedaemon import FakeDaemon, Serve
from tests.patience import PATIENCE_S


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
