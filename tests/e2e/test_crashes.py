"""The daemon is killed: what was acknowledged is there, what was cut off is marked, nothing runs on."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e.endpoint import SCRIPTED, Endpoint
from tests.e2e.home import ENDLESS, Home, heard, kill, model_speaks, until, with_variable
from tests.e2e.integrity import integrity
from tests.e2e.wire import Refused
from tests.patience import PATIENCE_S, Stopwatch

pytestmark = pytest.mark.e2e


def test_a_turn_cut_off_by_a_crash_is_kept_to_its_last_second(home: Home, endpoint: Endpoint) -> None:
    earlier = json.loads(home.ask("run", "-m", "echo", "--json", "earlier"))
    child = home.start(*SCRIPTED, "--no-stream", "count")
    conversation = endpoint.next()
    said: list[tuple[float, str]] = []
    pace = threading.Event()
    # The pace of a model is what this is about: a piece every 50 ms for 3 s.
    for number in range(60):
        conversation.say(f"{number} ")
        said.append((time.monotonic(), f"{number} "))
        pace.wait(0.05)
    killed_at = time.monotonic()
    home.kill_daemon()
    done = home.finish(child)
    assert (done.status, done.out) == (3, "")
    assert done.err.startswith("agentgw: the daemon ended before it answered")
    # Written at most a second later; the rest is for a busy machine.
    kept = "".join(text for at, text in said if at < killed_at - 2)
    assert kept
    (turn, first) = home.call("turn.list")["turns"]
    assert (turn["state"], first["turn_id"]) == ("interrupted", earlier["turn_id"])
    detail = home.call("turn.show", turn_id=turn["turn_id"])
    assert detail["text"].startswith(kept)
    assert "".join(text for _, text in said).startswith(detail["text"])
    question, answer = home.call("session.messages", session_id=turn["session_id"])["messages"]
    assert (question["content"], "interrupted" in question) == ("count", False)
    assert (answer["content"], answer["interrupted"]) == (detail["text"], True)
    # The session goes on from there.
    going_on = home.start(*SCRIPTED, "--session", turn["session_id"], "go on")
    conversation = endpoint.next()
    assert [message["content"] for message in conversation.messages][-3:] == ["count", detail["text"], "go on"]
    conversation.end("done")
    assert home.finish(going_on).out == "done\n"


def test_an_interrupted_turn_replays_what_was_sent_and_says_how_it_ended(home: Home, endpoint: Endpoint) -> None:
    turn_id = home.ask(*SCRIPTED, "--detach", "-q", "go").strip()
    endpoint.next().say("before the crash")
    watcher = home.start("attach", turn_id)
    assert heard(watcher, 16) == "before the crash"
    # On disk within a second: seen in the file itself, for the daemon would answer from memory.
    until(lambda: b"before the crash" in (home.path / "data" / "agentgw.db-wal").read_bytes(), "the log is written")
    home.kill_daemon()
    assert home.finish(watcher).status == 3
    done = home.run("attach", turn_id)
    assert (done.status, done.out) == (130, "before the crash\n")
    assert done.err.startswith("agentgw: the turn was cut off when the daemon ended")


def test_no_worker_outlives_a_killed_daemon(model_home: Home) -> None:
    child = model_home.start(*ENDLESS)
    model_speaks(model_home)
    instance = model_home.call("hello", client="test", version="0", protocol=1)["instance"]
    assert with_variable("AGENTGW_INSTANCE", instance).keys() == set(model_home.workers())
    assert model_home.workers()
    model_home.kill_daemon()
    until(lambda: not with_variable("AGENTGW_INSTANCE", instance), "no worker is left", within_s=2)
    assert model_home.finish(child).status == 3


def test_a_hanging_worker_keeps_no_new_daemon_from_starting(model_home: Home) -> None:
    model_home.call("model.load", model="smollm2:135m")
    (worker,) = model_home.workers()
    os.kill(worker, signal.SIGSTOP)
    model_home.kill_daemon()
    watch = Stopwatch()
    assert model_home.ask("run", "-m", "echo", "--no-session", "hi") == "hi\n"
    assert watch.seconds() < 5
    # Once it can, the orphan ends by itself.
    os.kill(worker, signal.SIGCONT)
    until(lambda: worker not in model_home.workers(), "the orphan has ended", within_s=2)


def test_an_idempotency_key_runs_once_also_across_a_crash(home: Home, endpoint: Endpoint) -> None:
    home.daemon()
    ask = {"message": "pay", "model": "scripted/m", "idempotency_key": "order-7"}
    with home.connect() as wire:
        request_id = wire.request("turn.start", **ask)
        endpoint.next().end("paid")
        _, first = wire.outcome(request_id)
    home.kill_daemon()
    home.daemon()
    with home.connect() as wire:
        events, again = wire.stream("turn.start", **ask)
    assert {key: again[key] for key in ("turn_id", "text", "last_seq")} == {
        key: first[key] for key in ("turn_id", "text", "last_seq")
    }
    assert len(events) == first["last_seq"]
    assert endpoint.served == 1


def test_a_key_whose_turn_was_cut_off_does_not_run_again_either(home: Home, endpoint: Endpoint) -> None:
    home.daemon()
    ask = {"message": "pay", "model": "scripted/m", "idempotency_key": "order-8"}
    with home.connect() as wire:
        wire.request("turn.start", **ask)
        endpoint.next()
        home.kill_daemon()
    home.daemon()
    with home.connect() as wire, pytest.raises(Refused) as refused:
        wire.call("turn.start", **ask)
    assert refused.value.code == -32009
    assert endpoint.served == 1


@dataclass
class History:
    """Record of the writers' work: a text is acknowledged, or its outcome is open."""

    acknowledged: dict[str, dict[str, Any]] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)


def write(home: Home, name: str, history: History, stop: threading.Event) -> None:
    """One writer: turns of unique text until the daemon is gone."""
    number = 0
    try:
        with home.connect() as wire:
            while not stop.is_set():
                number += 1
                text = f"{name}-{number} some words to keep"
                history.open.add(text)
                result = wire.call("turn.start", message=text, model="echo", idempotency_key=text)
                history.acknowledged[text] = result
                history.open.discard(text)
    except OSError:
        return


def check(home: Home, history: History) -> None:
    """Checks that every acknowledged turn is there exactly once with its text; every other at most once, and
    whole or marked.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    with home.connect() as wire:
        before = None
        while True:
            page = wire.call("turn.list", limit=1000, **({"before": before} if before else {}))
            for turn in page["turns"]:
                detail = wire.call("turn.show", turn_id=turn["turn_id"])
                found.setdefault(detail["message"], []).append(detail)
            assert before is None or page.get("next") != before, "the pages come to no end"
            before = page.get("next")
            if before is None:
                break
        for text, result in history.acknowledged.items():
            (detail,) = found.pop(text)
            assert (detail["turn"]["turn_id"], detail["turn"]["state"]) == (result["turn_id"], "completed")
            assert (detail["text"], detail["turn"]["last_seq"]) == (text, result["last_seq"])
        for text, details in found.items():
            assert text in history.open
            (detail,) = details
            assert detail["turn"]["state"] in ("completed", "interrupted", "cancelled")
            assert text.startswith(detail["text"])


def survive_kills(home: Home, kills: int, writers: int) -> None:
    """The daemon is killed again and again under writers."""
    draw = random.Random(1)
    history = History()
    recoveries = []
    for round_number in range(kills):
        watch = Stopwatch()
        home.daemon()
        recoveries.append(watch.seconds())
        stop = threading.Event()
        threads = [
            threading.Thread(target=write, args=(home, f"w{number}-r{round_number}", history, stop))
            for number in range(writers)
        ]
        known = len(history.acknowledged)
        for thread in threads:
            thread.start()
        # The moment of the kill is what is tried out: soon after the writers began, or after some acknowledgements,
        # which a busy machine may take its time with.
        if round_number % 2:
            until(lambda known=known: len(history.acknowledged) >= known + 3, "turns are acknowledged")
        stop.wait(draw.uniform(0.03, 0.12))
        home.kill_daemon()
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        assert integrity(home) == "ok"
    home.daemon()
    assert len(history.acknowledged) > kills
    check(home, history)
    # A turn that was open may be asked again under its key, and is there once then.
    with home.connect() as wire:
        for text in sorted(history.open):
            with contextlib.suppress(Refused):
                history.acknowledged[text] = wire.call("turn.start", message=text, model="echo", idempotency_key=text)
                history.open.discard(text)
    check(home, history)
    assert sorted(recoveries)[int(len(recoveries) * 0.95)] < 5


def test_fifty_kills_under_four_writers_lose_nothing_that_was_acknowledged(home: Home) -> None:
    survive_kills(home, 50, 4)


@pytest.mark.chaos
def test_a_thousand_kills_under_eight_writers(home: Home, chaos: Callable[[int], int]) -> None:
    survive_kills(home, chaos(1000), 8)


def test_a_daemon_killed_while_it_starts_is_followed_by_one_that_starts(home: Home) -> None:
    session_id = json.loads(home.ask("run", "-m", "echo", "--json", "keep"))["session_id"]
    for _ in range(3):
        home.kill_daemon()
        child = home.start("start")
        until(lambda: len(home.daemons()) == 1, "the next daemon begins")
        kill(home.daemons()[0])
        home.finish(child)
        home.daemon()
    assert home.call("session.get", session_id=session_id)["turns"] == 1
