"""An hour of mixed work: memory and descriptors are flat, and nothing that was acknowledged is missing."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.home import Home, until
from tests.e2e.wire import Refused
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.e2e

HOUR_S = 3600
# Caches and the allocator's arenas fill in the beginning.
WARM_UP = 0.25
# The rest is looked at so often, so that a failure shows its course.
PARTS = 6
MAY_GROW_BYTES = 5 << 20


def pings(home: Home) -> None:
    with home.connect() as wire:
        for _ in range(50):
            assert wire.call("ping") == "pong"


def stored_turns(home: Home) -> None:
    with home.connect() as wire:
        waiting = {wire.request("turn.start", message=f"word {number}", model="echo") for number in range(5)}
        while waiting:
            message = wire.receive()
            assert "error" not in message, message
            waiting.discard(message.get("id"))


def leavers(home: Home) -> None:
    """Clients that go in the middle of an answer."""
    for _ in range(5):
        with home.connect() as wire:
            wire.request("turn.start", message="word " * 500, model="echo", ephemeral=True)
            wire.next("turn.started")


def noise(home: Home) -> None:
    with home.connect() as wire:
        wire.send_bytes(b'{"jsonrpc": "2.0", "id": 1, "method": \n')
        assert wire.line() is not None


def deletions(home: Home) -> None:
    with home.connect() as wire:
        for session in wire.call("session.list", limit=3)["sessions"]:
            # A job may be at work in it.
            with contextlib.suppress(Refused):
                wire.call("session.delete", session_id=session["session_id"])


def backups(home: Home) -> None:
    with home.connect() as wire:
        wire.call("daemon.backup", path=str(home.work / "backup.db"), force=True)


def reloads(home: Home) -> None:
    (pid,) = home.daemons()
    before = home.log.count("reloaded")
    os.kill(pid, signal.SIGHUP)
    until(lambda: home.log.count("reloaded") != before, "the configuration is read again")


def jobs(home: Home) -> None:
    """One by hand; another one is due every few seconds all the while."""
    with home.connect() as wire:
        assert wire.call("job.run", name="asked", wait=True)["status"] == "ok"
        wire.call("job.history", limit=20)


WORK: tuple[Callable[[Home], None], ...] = (pings, stored_turns, leavers, noise, deletions, backups, reloads, jobs)
JOBS = """jobs:
  - {name: asked, message: hello, model: echo, every: 1 day}
  - {name: due, message: hello, model: echo, every: 5 seconds}
"""


def at_rest(home: Home) -> tuple[int, int]:
    """Memory and descriptors, with one connection open."""
    until(home.is_at_rest, "nobody else is connected")
    with home.connect() as wire:
        status = wire.call("daemon.status")
    return status["rss_bytes"], status["descriptors"]


def work_for(home: Home, duration_s: float, kinds: Iterator[Callable[[Home], None]]) -> int:
    """Rounds of work until the time is over."""
    end = time.monotonic() + duration_s
    for rounds, work in enumerate(kinds):
        if time.monotonic() > end:
            return rounds
        work(home)
    raise AssertionError("the work ended")


@pytest.mark.chaos
def test_an_hour_of_mixed_work_leaves_memory_and_descriptors_as_they_were(
    home: Home, chaos: Callable[[int], int]
) -> None:
    duration_s = chaos(HOUR_S)
    # So that the log itself is rotated on the way.
    home.configure("[log]\nmax_bytes = 1000000\n")
    (home.path / "config" / "jobs.yaml").write_text(JOBS)
    daemon = home.serve()
    kinds = itertools.cycle(WORK)
    warm = work_for(home, duration_s * WARM_UP, kinds)
    rss, descriptors = at_rest(home)
    rounds, course = 0, [rss]
    for _ in range(PARTS):
        rounds += work_for(home, duration_s * (1 - WARM_UP) / PARTS, kinds)
        rss_after, descriptors_after = at_rest(home)
        course.append(rss_after)
    print(f"{warm} + {rounds} rounds in {duration_s} s: bytes {course}, descriptors {descriptors}, {descriptors_after}")
    assert descriptors_after == descriptors
    assert rss_after - rss < MAY_GROW_BYTES
    with home.connect() as wire:
        assert wire.call("daemon.status")["turns"] == 0
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(PATIENCE_S) == 0
