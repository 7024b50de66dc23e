"""A stop, a reload, the log: the daemon as its owner handles it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.home import ENDLESS, Home, heard, model_speaks, until
from tests.e2e.wire import Wire
from tests.patience import PATIENCE_S, Stopwatch

pytestmark = pytest.mark.e2e


def stop_with_streams(home: Home, endpoint: Endpoint, streams: int) -> None:
    """SIGTERM with running streams: each client hears how its turn ended, then the daemon goes."""
    # A client that does not read is not to be dropped before the last stream has begun.
    daemon = home.serve(environ={"AGENTGW_LIMITS__WRITE_STALL_S": "120"})
    with ExitStack() as stack:
        wires: list[tuple[Wire, int]] = []
        for number in range(streams):
            wire = stack.enter_context(home.connect())
            # Every other one stands still because its client does not read, the rest because its model is silent.
            model, message, first = (
                ("scripted/m", "go", "so far") if number % 2 else ("echo", "word " * 20_000, "word ")
            )
            wires.append((wire, wire.request("turn.start", message=message, model=model)))
            if number % 2:
                endpoint.next().say(first)
            # Each is accepted before the stop: one that comes later is refused.
            assert wire.next("turn.delta")["text"] == first
        watch = Stopwatch()
        with ThreadPoolExecutor(streams) as readers:
            heard_last = [readers.submit(wire.last_lines, 2) for wire, _ in wires]
            daemon.send_signal(signal.SIGTERM)
        for (_, request_id), last in zip(wires, heard_last, strict=True):
            completed, answer = map(json.loads, last.result())
            assert completed["method"] == "turn.completed"
            assert answer["id"] == request_id
            assert answer["result"]["finish_reason"] in ("cancelled", "stop")
        assert daemon.wait(PATIENCE_S) == 0
        assert watch.seconds() < 20
    assert not home.socket.exists()
    assert not home.workers()
    turns = home.call("turn.list", limit=1000)["turns"]
    assert len(turns) == streams
    assert {turn["state"] for turn in turns} <= {"cancelled", "completed"}


def test_a_stop_tells_every_running_stream_how_it_ended(home: Home, endpoint: Endpoint) -> None:
    stop_with_streams(home, endpoint, 50)


@pytest.mark.chaos
def test_a_stop_with_two_hundred_streams(home: Home, endpoint: Endpoint, chaos: Callable[[int], int]) -> None:
    stop_with_streams(home, endpoint, chaos(200))


def test_a_stop_ends_a_generating_worker_and_the_command_that_waits(model_home: Home) -> None:
    child = model_home.start(*ENDLESS)
    model_speaks(model_home)
    watch = Stopwatch()
    assert model_home.ask("stop") == "stopped\n"
    assert watch.seconds() < 10
    done = model_home.finish(child)
    assert (done.status, done.err) == (130, "agentgw: the turn was cancelled\n")
    assert model_home.workers() == []


def test_a_second_signal_does_not_disturb_the_first(home: Home, endpoint: Endpoint) -> None:
    daemon = home.serve()
    with home.connect() as wire:
        wire.request("turn.start", message="go", model="scripted/m")
        endpoint.next()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            daemon.send_signal(number)
        *_, last = wire.rest()
        assert last["result"]["finish_reason"] == "cancelled"
    assert daemon.wait(PATIENCE_S) == 0


def test_while_it_stops_nothing_new_begins(home: Home, endpoint: Endpoint) -> None:
    daemon = home.serve()
    with home.connect() as wire, home.connect() as late:
        wire.request("turn.start", message="word " * 20_000, model="echo")
        assert wire.next("turn.started")
        assert late.call("ping") == "pong"
        daemon.send_signal(signal.SIGTERM)
        until(lambda: "stopping" in home.log, "the stop has begun")
        # The stop may be through with this connection already: then nothing begins either.
        with contextlib.suppress(BrokenPipeError):
            late.send({"jsonrpc": "2.0", "id": 9, "method": "turn.start", "params": {"message": "x", "model": "echo"}})
        answers = list(late.rest())
        assert [answer["error"]["code"] for answer in answers] in ([-32011], [])
    assert daemon.wait(PATIENCE_S) == 0
    assert endpoint.served == 0


def test_reload_says_what_changed_and_takes_it_over(home: Home) -> None:
    home.configure("[agent]\ndefault_skill = 'general-assistant'\n")
    home.daemon()
    assert home.ask("reload") == "nothing changed\n"
    skill = home.path / "config" / "skills" / "pirate"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text("---\nname: pirate\ndescription: Speaks as a pirate.\n---\nArr, be a pirate.\n")
    home.configure("[agent]\ndefault_skill = 'pirate'\n[limits]\nconnections = 100\n")
    said = home.ask("reload").splitlines()
    assert {"changed  agent.default_skill", "changed  limits.connections", "restart  limits.connections"} <= set(said)
    assert any("pirate" in line for line in said if "agent" not in line)
    assert home.ask("run", "-m", "echo", "--dry-run", "-q", "hi") == "Arr, be a pirate.\nhi\n"
    assert json.loads(home.ask("reload", "--json")) == {"changed": [], "restart_needed": [], "notices": []}


def test_a_reload_of_a_mistake_changes_nothing_and_says_so(home: Home) -> None:
    home.configure("[agent]\ndefault_skill = 'code-assistant'\n")
    home.daemon()
    home.configure("[agent]\ndefault_skil = 'quick-assistant'\n")
    done = home.run("reload")
    assert (done.status, done.out) == (78, "")
    assert "agent.default_skil; did you mean agent.default_skill?" in done.err
    assert done.err.count("\n") == 1
    turn = json.loads(home.ask("run", "-m", "echo", "--json", "hi"))
    assert home.call("turn.show", turn_id=turn["turn_id"])["turn"]["skill"] == "code-assistant"


def test_sighup_reloads_and_survives_a_mistake(home: Home) -> None:
    home.configure("[agent]\ndefault_skill = 'code-assistant'\n")
    pid = home.daemon()
    home.configure("[agent]\ndefault_skill = 'quick-assistant'\n")
    os.kill(pid, signal.SIGHUP)
    until(lambda: "reloaded: agent.default_skill" in home.log, "the new settings are in force")
    home.configure("[agent]\nwrong = 1\n")
    os.kill(pid, signal.SIGHUP)
    until(lambda: "not reloaded: " in home.log, "the mistake is in the log")
    turn = json.loads(home.ask("run", "-m", "echo", "--json", "hi"))
    assert home.call("turn.show", turn_id=turn["turn_id"])["turn"]["skill"] == "quick-assistant"
    assert home.daemons() == [pid]


def test_logs_shows_the_last_lines_and_follows(home: Home) -> None:
    done = home.run("logs")
    assert done.status == 3
    pid = home.daemon()
    # It answers before it has said all of its start.
    until(lambda: " serving on " in home.log, "the start is told")
    assert home.ask("logs", "-n", "2").splitlines() == home.log.splitlines()[-2:]
    assert home.ask("logs", "-n", "0") == ""
    following = home.start("logs", "-f", "-n", "1", stdout=subprocess.PIPE)
    last = home.log.splitlines()[-1]
    assert heard(following, len(last) + 1) == f"{last}\n"
    os.kill(pid, signal.SIGHUP)
    assert following.stdout is not None
    assert select.select([following.stdout], [], [], 10)[0]
    assert b"reloaded: nothing changed" in os.read(following.stdout.fileno(), 4096)
    following.send_signal(signal.SIGINT)
    assert home.finish(following, within_s=5).status == 130
