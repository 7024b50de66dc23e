"""The daemon under a service manager: activation by systemd's own code, readiness, reload, stop, suspension."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.home import Home, gone, kill, until
from tests.ending import ends_within
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.e2e

ACTIVATE = shutil.which("systemd-socket-activate")
DAEMON = (sys.executable, "-P", "-m", "agentgw_daemon", "--activated")
# Descriptor 3 for the next program, as LISTEN_PID is only known after the fork.
HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Keeper:
    """Holds the listening socket as the user manager does, and lets systemd's program start a daemon for it."""

    def __init__(self, home: Home) -> None:
        self._home = home
        for folder in (home.path, home.socket.parent):
            folder.mkdir(mode=0o700)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(home.socket))
        home.socket.chmod(0o600)
        self._listener.listen(64)
        self._started: list[subprocess.Popen[bytes]] = []

    def watch(self) -> subprocess.Popen[bytes]:
        """A process that becomes the daemon with the next request."""
        assert ACTIVATE is not None
        variables = [word for name, value in self._home.environ.items() for word in ("-E", f"{name}={value}")]
        child = subprocess.Popen(
            [sys.executable, "-c", HAND_OVER, str(self._listener.fileno()), ACTIVATE, *variables, *DAEMON],
            env=self._home.environ, pass_fds=[self._listener.fileno()], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._started.append(child)
        return child

    def close(self) -> None:
        """Give up the socket and what was started for it."""
        self._listener.close()
        for child in self._started:
            with child:
                child.kill()


@pytest.fixture
def keeper(home: Home) -> Iterator[Keeper]:
    """The manager's part."""
    made = Keeper(home)
    yield made
    made.close()


@pytest.mark.skipif(ACTIVATE is None, reason="systemd-socket-activate is not installed")
def test_after_a_kill_the_next_request_starts_another_daemon_at_the_same_socket(home: Home, keeper: Keeper) -> None:
    inode = os.stat(home.socket).st_ino
    first = keeper.watch()
    assert home.ask("run", "-m", "echo", "first") == "first\n"
    with home.connect() as wire:
        assert wire.call("daemon.status")["pid"] == first.pid
    kill(first.pid)
    second = keeper.watch()
    assert home.ask("run", "-m", "echo", "second") == "second\n"
    with home.connect() as wire:
        assert wire.call("daemon.status")["pid"] == second.pid
    with gone(second.pid):
        assert home.ask("stop") == "stopped\n"
    assert os.stat(home.socket).st_ino == inode


@pytest.mark.skipif(ACTIVATE is None, reason="systemd-socket-activate is not installed")
def test_a_daemon_that_lost_its_name_to_the_manager_hands_over(home: Home) -> None:
    """A start of the socket by the manager beside a daemon that runs: no request and no session is lost."""
    old = home.serve()
    assert home.ask("run", "-m", "echo", "kept") == "kept\n"
    home.socket.unlink()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(home.socket))
    home.socket.chmod(0o600)
    listener.listen(64)
    inode = os.stat(home.socket).st_ino
    child = subprocess.Popen(
        [sys.executable, "-c", HAND_OVER, str(listener.fileno()), *DAEMON], env=home.environ,
        pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with child, home.connect() as wire:
        assert wire.call("daemon.status")["pid"] == child.pid
        assert len(wire.call("session.list")["sessions"]) == 1
        assert old.wait(PATIENCE_S) == 0
        listener.close()
        child.terminate()
        assert child.wait(PATIENCE_S) == 0
    assert os.stat(home.socket).st_ino == inode


class Manager:
    """NOTIFY_SOCKET's other end."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._heard.bind(self.address)
        self._heard.settimeout(PATIENCE_S)

    def next(self) -> dict[str, str]:
        """The next message but signs of life, or the first of these."""
        return dict(line.split("=", 1) for line in self._heard.recv(4096).decode().splitlines())

    def until(self, word: str) -> dict[str, str]:
        """The next message that says this."""
        while word not in (said := self.next()):
            pass
        return said

    def close(self) -> None:
        """End it."""
        self._heard.close()


@pytest.fixture
def manager(home: Home) -> Iterator[Manager]:
    """A service manager that listens."""
    made = Manager(home.root)
    yield made
    made.close()


def test_the_manager_hears_of_readiness_reload_and_stop(home: Home, manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"}
    daemon = home.start("serve", environ=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert manager.next() == {"READY": "1", "STATUS": f"serving on {home.socket}"}
    assert manager.next() == {"WATCHDOG": "1"}
    assert home.ask("run", "-m", "echo", "hi") == "hi\n"
    daemon.send_signal(signal.SIGHUP)
    assert manager.until("RELOADING")["STATUS"] == "reloading"
    assert manager.until("READY")["STATUS"] == "serving"
    daemon.send_signal(signal.SIGTERM)
    said = manager.until("STOPPING")
    assert said["STATUS"] == "stopping: SIGTERM"
    assert int(said["EXTEND_TIMEOUT_USEC"]) > 20_000_000
    assert daemon.wait(PATIENCE_S) == 0


def test_a_daemon_that_was_suspended_goes_on_where_it_was(home: Home, manager: Manager) -> None:
    """A shorter night than a laptop's: clients time out cleanly, then are served, and signs of life come again."""
    environ = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"}
    daemon = home.start("serve", environ=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    manager.until("WATCHDOG")
    with home.connect() as waiting:
        assert waiting.call("ping") == "pong"
        daemon.send_signal(signal.SIGSTOP)
        until(lambda: stopped(daemon.pid), "the daemon stands still")
        request_id = waiting.request("turn.start", message="word", model="echo")
        done = home.run("run", "-m", "echo", "--timeout", "1", "hi")
        assert (done.status, done.out) == (124, "")
        daemon.send_signal(signal.SIGCONT)
        assert waiting.outcome(request_id)[1]["text"] == "word"
    assert manager.until("WATCHDOG") == {"WATCHDOG": "1"}
    assert home.ask("run", "-m", "echo", "again") == "again\n"
    assert home.daemons() == [daemon.pid]


def test_a_worker_that_was_suspended_goes_on_or_is_replaced(model_home: Home) -> None:
    model_home.ask("run", "-q", "-o", "max_tokens=3", "hi")
    (worker,) = model_home.workers()
    os.kill(worker, signal.SIGSTOP)
    until(lambda: stopped(worker), "the worker stands still")
    done = model_home.run("run", "-q", "-o", "max_tokens=3", "--timeout", "1", "hi")
    assert (done.status, done.out) == (124, "")
    os.kill(worker, signal.SIGCONT)
    assert model_home.ask("run", "-q", "-o", "max_tokens=3", "hi")


def stopped(pid: int) -> bool:
    """Tell whether a process is stopped by a signal."""
    return "\nState:\tT" in Path(f"/proc/{pid}/status").read_text()


def test_two_signals_at_once_are_one_stop(home: Home) -> None:
    daemon = home.serve()
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
        daemon.send_signal(number)
    assert daemon.wait(PATIENCE_S) == 0
    assert home.log.endswith("stopped\n")
    assert not home.socket.exists()


def test_serve_tells_what_it_came_up_with_and_writes_its_pid(home: Home) -> None:
    daemon = home.start("serve", "--pidfile", "here.pid", stderr=subprocess.PIPE)
    assert daemon.stderr is not None
    said = b""
    while b"serving on" not in said:
        part = os.read(daemon.stderr.fileno(), 65536)
        assert part, said
        said += part
    assert (home.work / "here.pid").read_text() == f"{daemon.pid}\n"
    words = (
        "service initialised: agentgw ",
        "provider: none yet",
        "skills loaded: 5\n",
        "tools registered: 1",
        "jobs: 0\n",
    )
    positions = [said.decode().find(word) for word in (*words, f"serving on {home.socket}")]
    assert positions == sorted(positions)
    assert -1 not in positions
    daemon.send_signal(signal.SIGTERM)
    home.finish(daemon)
    assert not (home.work / "here.pid").exists()


def test_a_refused_configuration_is_told_to_the_journal_and_not_tried_again(home: Home) -> None:
    home.configure("[agent]\nwrong = 1\n")
    reader, writer = os.pipe()
    stream = os.fstat(writer)
    child = subprocess.Popen(
        [*DAEMON], env=home.environ | {"JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino}"},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writer,
    )  # fmt: skip
    os.close(writer)
    with child, open(reader) as said:
        text = said.read()
    assert child.returncode == 78
    assert text.startswith("<3>agentgw: ")
    assert "unknown key agent.wrong" in text
    assert text.count("\n") == 1


def test_where_it_is_asked_for_an_idle_daemon_ends_by_itself(home: Home) -> None:
    home.configure("[daemon]\nidle_exit_s = 1\n")
    daemon = home.serve()
    with home.connect() as wire:
        # Longer than it would stay without anybody.
        assert not ends_within(daemon.pid, 1.5)
        status = wire.call("daemon.status")
    assert status["rss_peak_bytes"] >= status["rss_bytes"] > 0
    assert status["descriptors_peak"] >= status["descriptors"] > 5
    assert daemon.wait(PATIENCE_S) == 0
    assert "stopping: nobody needed it for 1 s" in home.log
    assert not home.socket.exists()


def test_a_daemon_with_a_job_to_fire_stays(home: Home) -> None:
    home.configure("[daemon]\nidle_exit_s = 0.01\n")
    jobs = home.path / "config" / "jobs.yaml"
    jobs.write_text("jobs:\n  - name: yearly\n    message: hi\n    every: day at 03:00\n    enabled: true\n")
    daemon = home.serve()
    assert "jobs: 1\n" in home.log
    assert not ends_within(daemon.pid, 1.5)
