"""The model worker is killed, hangs or goes: its clients hear of it once, and the next one is served."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentgw.protocol.errors import WorkerDied
from tests.e2e.home import COUNTING, ENDLESS, Home, kill, model_speaks, until
from tests.patience import Stopwatch

pytestmark = pytest.mark.e2e

LONG = {
    "message": COUNTING,
    "system": "",
    "options": {"max_tokens": 2000, "temperature": 0, "repeat_penalty": 1},
}
SHORT = {"message": "Say hello.", "system": "", "options": {"max_tokens": 1}}


def survive_deaths(home: Home, deaths: int) -> None:
    """Kills workers: each time exactly one terminal message, and the next request is answered."""
    daemon = home.daemon()
    with home.connect() as wire:
        wire.call("turn.start", **SHORT)
        open_files = len(os.listdir(f"/proc/{daemon}/fd"))
        for _ in range(deaths):
            request_id = wire.request("turn.start", **LONG)
            wire.next("turn.delta")
            (worker,) = home.workers()
            kill(worker)
            terminal: list[dict[str, Any]] = []
            while not terminal or "method" in terminal[-1]:
                message = wire.receive()
                if message.get("method") != "turn.delta":
                    terminal.append(message)
            completed, answer = terminal
            assert completed["params"]["finish_reason"] == "failed"
            assert (answer["id"], answer["error"]["code"]) == (request_id, -32007)
            assert answer["error"]["data"]["status"] == -signal.SIGKILL
            watch = Stopwatch()
            # Its first message is the answer: nothing more came of the turn that failed.
            events, _ = wire.stream("turn.start", **SHORT)
            assert events[0]["method"] == "turn.started"
            assert watch.seconds() < 6
        until(lambda: len(os.listdir(f"/proc/{daemon}/fd")) <= open_files, "no descriptor is left over")
    assert zombies_of(daemon) == []
    assert home.daemons() == [daemon]


def zombies_of(parent: int) -> list[str]:
    """Children of a process that ended and were not reaped."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, ppid = file.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if (state, ppid) == ("Z", str(parent)):
            found.append(file.parent.name)
    return found


def test_a_killed_worker_costs_one_answer_and_no_more(model_home: Home) -> None:
    survive_deaths(model_home, 10)


@pytest.mark.chaos
def test_a_thousand_killed_workers(model_home: Home, chaos: Callable[[int], int]) -> None:
    survive_deaths(model_home, chaos(1000))


def test_the_command_line_says_that_the_worker_died(model_home: Home) -> None:
    child = model_home.start(*ENDLESS)
    model_speaks(model_home)
    kill(model_home.workers()[0])
    done = model_home.finish(child, within_s=10)
    assert done.status == 1
    assert done.err == f"agentgw: the model worker was killed by SIGKILL. {WorkerDied.remedy}\n"
    assert done.out.endswith("\n")


@pytest.mark.chaos
def test_a_worker_that_stands_still_is_replaced(model_home: Home) -> None:
    child = model_home.start(*ENDLESS)
    model_speaks(model_home)
    (worker,) = model_home.workers()
    os.kill(worker, signal.SIGSTOP)
    # Six missed heartbeats of five seconds each.
    done = model_home.finish(child, within_s=60)
    assert done.status == 1
    assert "said nothing for" in done.err
    assert worker not in model_home.workers()
    assert model_home.run("run", "--system", "", "-o", "max_tokens=1", "Hi").status == 0


def test_an_idle_worker_leaves_memory(model_home: Home) -> None:
    brief = {"AGENTGW_INFERENCE__KEEP_ALIVE_S": "0.2"}
    assert model_home.run("run", "--system", "", "-o", "max_tokens=1", "Hi", environ=brief).status == 0
    until(lambda: model_home.workers() == [], "the worker has ended", within_s=5)
    assert model_home.call("daemon.status")["workers"] == []
    assert model_home.run("run", "--system", "", "-o", "max_tokens=1", "Hi", environ=brief).status == 0


def test_a_turn_is_answered_while_a_longer_one_runs(model_home: Home) -> None:
    model_home.daemon()
    with model_home.connect() as first, model_home.connect() as second:
        first.request("turn.start", **LONG)
        first.next("turn.delta")
        two = second.request("turn.start", **SHORT)
        assert second.outcome(two)[1]["finish_reason"] in ("length", "stop")
        assert first.next("turn.delta"), "the longer one goes on"
        first.raw.close()
