"""Starting on demand: one daemon however many ask, whatever was left behind, whatever stands in the way."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.home import AGENTGW, Home, kill, until
from tests.patience import PATIENCE_S, Stopwatch

pytestmark = pytest.mark.e2e

HELLO = {"client": "test", "version": "0", "protocol": 1}


def storm(home: Home, clients: int) -> None:
    """Starts `clients` at once from cold: every one is answered, by the same daemon, the only one there ever was."""
    started = home.log.count("serving on")
    children = [home.start("run", "-m", "echo", "--no-session", f"word {number}") for number in range(clients)]
    answers = [home.finish(child, within_s=60) for child in children]
    assert [(done.status, done.out) for done in answers] == [(0, f"word {number}\n") for number in range(clients)]
    assert "".join(done.err for done in answers) == ""
    assert len(home.daemons()) == 1
    # It answers before it has said all of its start.
    until(lambda: home.log.count("serving on") > started, "the start is told")
    assert home.log.count("serving on") == started + 1


def test_a_hundred_clients_at_once_from_cold_find_one_daemon(home: Home) -> None:
    for _ in range(3):
        storm(home, 100)
        home.stop()


@pytest.mark.chaos
def test_twenty_storms_of_a_hundred_clients(home: Home, chaos: Callable[[int], int]) -> None:
    for _ in range(chaos(20)):
        storm(home, 100)
        home.stop()


def survive_killed_spawners(home: Home, rounds: int) -> None:
    """A client is killed at some moment of starting the daemon; the next one does not notice."""
    draw = random.Random(8)
    for _ in range(rounds):
        child = home.start("run", "-m", "echo", "--no-session", "hi")
        # When the kill strikes is what is tried out here, not something to wait for.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(draw.uniform(0, 0.5))
        child.kill()
        watch = Stopwatch()
        assert home.ask("run", "-m", "echo", "--no-session", "next") == "next\n"
        assert watch.seconds() < 5
        assert len(home.daemons()) == 1
        home.stop()


def test_a_spawner_killed_half_way_leaves_nothing_that_matters(home: Home) -> None:
    survive_killed_spawners(home, 4)


@pytest.mark.chaos
def test_fifty_spawners_killed_half_way(home: Home, chaos: Callable[[int], int]) -> None:
    survive_killed_spawners(home, chaos(50))


def test_after_a_kill_the_stale_socket_and_a_reused_pid_mislead_nobody(home: Home) -> None:
    first = home.call("hello", **HELLO)
    home.kill_daemon()
    assert stat.S_ISSOCK(home.socket.stat().st_mode)
    unrelated = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        (home.path / "data" / "daemon.lock").write_text(json.dumps({"pid": unrelated.pid}))
        second = home.call("hello", **HELLO)
        assert second["instance"] != first["instance"]
        home.ask("restart")
        assert unrelated.poll() is None
    finally:
        unrelated.kill()
        unrelated.wait()


def test_a_second_daemon_exits_75_and_names_the_first(home: Home) -> None:
    pid = home.daemon()
    done = home.run("serve")
    assert done.status == 75
    assert done.err == f"agentgw: already running (pid {pid}). agentgw stop ends it\n"
    assert home.daemons() == [pid]


def test_a_removed_socket_comes_back_with_the_same_daemon_behind_it(home: Home) -> None:
    session_id = json.loads(home.ask("run", "-m", "echo", "--json", "keep this"))["session_id"]
    first = home.call("hello", **HELLO)
    home.socket.unlink()
    watch = Stopwatch()
    assert home.call("hello", **HELLO)["instance"] == first["instance"]
    assert watch.seconds() < 8
    assert home.call("session.get", session_id=session_id)["title"] == "keep this"
    assert len(home.daemons()) == 1


@pytest.mark.parametrize("mask", [0o000, 0o777])
def test_whatever_the_umask_everything_is_private(home: Home, mask: int) -> None:
    child = home.start("run", "-m", "echo", "hi", umask=mask)
    assert home.finish(child).out == "hi\n"
    assert modes(home) == {"directory": {0o700}, "file": {0o600}, "socket": {0o600}}


def modes(home: Home) -> dict[str, set[int]]:
    """The modes of all there is."""
    found: dict[str, set[int]] = {"directory": {stat.S_IMODE(home.path.stat().st_mode)}, "file": set(), "socket": set()}
    for path in home.path.rglob("*"):
        status = path.lstat()
        if not stat.S_ISLNK(status.st_mode):
            kind = "directory" if path.is_dir() else "socket" if stat.S_ISSOCK(status.st_mode) else "file"
            found[kind].add(stat.S_IMODE(status.st_mode))
    return found


def test_a_mistake_in_the_configuration_shows_at_once(home: Home) -> None:
    home.configure("[inference]\nn_ctxx = 512\n")
    watch = Stopwatch()
    done = home.run("run", "-m", "echo", "hi")
    assert watch.seconds() < 5
    assert (done.status, done.out) == (78, "")
    file = home.path / "config" / "config.toml"
    assert done.err.startswith(f"agentgw: {file}:2: unknown key inference.n_ctxx; did you mean inference.n_ctx?")
    assert done.err.count("\n") == 1
    home.configure("[inference]\nn_ctx = 512\n")
    assert home.ask("run", "-m", "echo", "hi") == "hi\n"


def test_a_daemon_that_cannot_start_says_why_and_shows_its_log(home: Home) -> None:
    watch = Stopwatch()
    done = home.run("run", "-m", "echo", "hi", environ={"AGENTGW_FAIL": "migration-001-end:1:raise"})
    assert watch.seconds() < 8
    assert (done.status, done.out) == (3, "")
    first, note, *log = done.err.splitlines()
    assert first.startswith("agentgw: the daemon did not start: ")
    assert note == f"the last lines of {home.path}/state/daemon.log:"
    assert 1 <= len(log) <= 20
    # The traceback is the log's business, and it is there.
    assert "FailpointReached: migration-001-end" in home.log
    assert "FailpointReached: migration-001-end" in done.err
    (home.path / "state" / "daemon.log").unlink()
    assert home.ask("run", "-m", "echo", "hi") == "hi\n"


@pytest.mark.parametrize("mode", [0o777, 0o750])
def test_a_directory_open_to_others_is_refused_with_the_way_to_close_it(home: Home, mode: int) -> None:
    run = home.path / "run"
    run.mkdir(parents=True)
    home.path.chmod(0o700)
    run.chmod(mode)
    done = home.run("run", "-m", "echo", "hi")
    assert (done.status, done.out) == (78, "")
    assert f"chmod 700 {run}" in done.err
    assert done.err.count("\n") == 1
    assert list(run.iterdir()) == []
    assert home.daemons() == []


def test_a_link_in_place_of_the_directory_or_the_socket_is_refused(home: Home) -> None:
    victim = home.root / "victim"
    victim.mkdir(mode=0o700)
    home.path.mkdir(mode=0o700)
    run = home.path / "run"
    run.symlink_to(victim)
    done = home.run("run", "-m", "echo", "hi")
    assert (done.status, done.out, done.err.count("\n")) == (78, "", 1)
    assert list(victim.iterdir()) == []
    run.unlink()
    run.mkdir(mode=0o700)
    file = home.root / "file"
    file.write_text("precious")
    home.socket.symlink_to(file)
    done = home.run("run", "-m", "echo", "hi")
    assert (done.status, done.out, done.err.count("\n")) == (78, "", 1)
    assert file.read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look like sudo")
def test_under_sudo_it_refuses_and_makes_nothing(home: Home) -> None:
    for words in (("run", "-m", "echo", "hi"), ("serve",), ("status",)):
        done = home.run(*words, environ={"SUDO_UID": "1000"})
        assert (done.status, done.out, done.err.count("\n")) == (78, "", 1)
    assert not home.path.exists()


def test_a_long_path_works_all_the_same(home: Home) -> None:
    far = home.root / ("d" * 60) / ("ö" * 60)
    far.mkdir(parents=True)
    environ = {"AGENTGW_HOME": str(far / "home")}
    assert home.ask("run", "-m", "echo", "hi", environ=environ) == "hi\n"
    assert (far / "home" / "run" / "agentgw.sock").exists()


def test_a_home_that_cannot_be_made_is_one_line_at_once(home: Home) -> None:
    watch = Stopwatch()
    done = home.run("run", "-m", "echo", "hi", environ={"AGENTGW_HOME": "/proc/agentgw"})
    assert watch.seconds() < 2
    assert (done.status, done.out, done.err.count("\n")) == (78, "", 1)


def test_start_stop_and_status_agree(home: Home) -> None:
    done = home.run("status")
    assert (done.status, done.out) == (3, "not running\n")
    pid = home.daemon()
    assert home.daemon() == pid
    status = json.loads(home.ask("status", "--json"))
    assert (status["running"], status["pid"], status["socket"]) == (True, pid, str(home.socket))
    assert home.ask("stop") == "stopped\n"
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]
    assert not home.socket.exists()
    assert home.ask("stop") == "not running\n"


def test_the_spawned_daemon_inherits_nothing_of_its_client(home: Home) -> None:
    """Open files, a blocked signal, a working directory that is removed, other code by PYTHONPATH."""
    other = home.root / "other"
    other.mkdir()
    # Modules that the client itself does not import.
    for name in ("trio.py", "sqlite3.py", "agentgw_daemon.py"):
        (other / name).write_text("raise SystemExit('loaded from PYTHONPATH')\n")
    gone = home.root / "gone"
    gone.mkdir()
    program = (
        "import os, signal, subprocess, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        "for _ in range(50): os.set_inheritable(os.open('/dev/null', os.O_RDONLY), True)\n"
        "os.rmdir(os.getcwd())\n"
        "sys.exit(subprocess.run([sys.argv[1], 'start'], close_fds=False).returncode)\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", program, AGENTGW],
        cwd=gone,
        env={**home.environ, "PYTHONPATH": str(other)},
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert (child.returncode, child.stderr) == (0, b"")
    pid = int(child.stdout)
    assert len(os.listdir(f"/proc/{pid}/fd")) <= 20
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    with home.connect() as wire:
        assert wire.call("ping") == "pong"
    kill(pid, signal.SIGTERM)
