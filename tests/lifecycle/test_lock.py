"""One holder at a time, whatever happens to the others."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agentgw.protocol.errors import AlreadyRunning, DirectoryRefused
from agentgw_daemon.lifecycle import lock
from tests.lifecycle.processes import Children
from tests.patience import PATIENCE_S


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The lock's file."""
    return str(tmp_path / "daemon.lock")


def acquire(path: str) -> lock.DaemonLock:
    return lock.acquire(path, instance="an-instance", version="1.2.3")


def test_the_file_says_who_holds_it(path: str) -> None:
    held = acquire(path)
    said = json.loads(Path(path).read_text())
    assert (said["pid"], said["version"], said["instance"]) == (os.getpid(), "1.2.3", "an-instance")
    assert said["started"].endswith("Z")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    held.close()


def test_a_second_one_is_told_who_holds_it(path: str) -> None:
    held = acquire(path)
    with pytest.raises(AlreadyRunning, match=rf"already running \(pid {os.getpid()}\)") as caught:
        acquire(path)
    assert caught.value.exit_status == 75
    held.close()
    acquire(path).close()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', "[" * 4000, "\0\xff"])
def test_a_damaged_text_is_no_obstacle(path: str, text: str) -> None:
    held = acquire(path)
    Path(path).write_text(text)
    with pytest.raises(AlreadyRunning, match=r"already running$"):
        acquire(path)
    held.close()


def test_it_waits_a_moment_for_one_that_is_leaving(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held = acquire(path)
    waited: list[float] = []

    def leave(seconds: float) -> None:
        waited.append(seconds)
        held.close()

    monkeypatch.setattr(time, "sleep", leave)
    acquire(path).close()
    assert len(waited) == 1


def test_a_removed_file_is_noticed(path: str) -> None:
    held = acquire(path)
    assert held.in_place
    os.unlink(path)
    assert not held.in_place
    Path(path).touch()
    assert not held.in_place
    held.close()


def test_a_file_replaced_between_open_and_lock_is_not_taken(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = lock._open
    opened: list[int] = []

    def open_then_replace(name: str) -> int:
        fd = original(name)
        if not opened:
            os.unlink(name)
        opened.append(fd)
        return fd

    monkeypatch.setattr(lock, "_open", open_then_replace)
    held = acquire(path)
    assert len(opened) == 2
    assert held.in_place
    held.close()


def test_a_link_is_not_followed(path: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    os.symlink(victim, path)
    with pytest.raises(DirectoryRefused, match=r"daemon\.lock"):
        acquire(path)
    assert victim.read_text() == "precious"


def test_closing_empties_the_text_and_may_be_repeated(path: str) -> None:
    held = acquire(path)
    held.close()
    held.close()
    assert Path(path).read_text() == ""


HOLD = """
import sys
from agentgw_daemon.lifecycle import lock as lock
held = lock.acquire(sys.argv[1], instance="i", version="1")
print("held", flush=True)
sys.stdin.read()
"""


def test_kill_9_frees_it(path: str, children: Children) -> None:
    holder = children.start([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(AlreadyRunning, match=f"pid {holder.pid}"):
        acquire(path)
    holder.kill()
    holder.wait(PATIENCE_S)
    acquire(path).close()


def test_of_many_at_once_exactly_one_gets_it(path: str) -> None:
    """The contenders are threads: flock is by open file, so they exclude each other as processes do."""
    got: list[lock.DaemonLock] = []
    refused: list[AlreadyRunning] = []
    barrier = threading.Barrier(20)

    def compete() -> None:
        barrier.wait()
        try:
            got.append(acquire(path))
        except AlreadyRunning as error:
            refused.append(error)

    threads = [threading.Thread(target=compete) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 19)
    got[0].close()
