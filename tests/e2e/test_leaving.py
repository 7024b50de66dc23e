"""Clients that leave, and the outcome of their turns: Ctrl-C, a closed pipe, a killed client, a half-closed one."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
from typing import Any

import pytest

from tests.e2e.endpoint import SCRIPTED, Endpoint
from tests.e2e.home import ENDLESS, Home, gone, heard, model_speaks, until
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.e2e


def ended_turn(home: Home) -> dict[str, Any]:
    """The only turn, once it is over."""

    def ended() -> dict[str, Any] | None:
        turn: dict[str, Any]
        (turn,) = wire.call("turn.list")["turns"]
        return turn if turn["state"] not in ("queued", "running") else None

    with home.connect() as wire:
        return until(ended, "the turn has ended", within_s=5)


def test_ctrl_c_cancels_the_turn_and_keeps_what_was_said(home: Home, endpoint: Endpoint) -> None:
    child = home.start(*SCRIPTED, "go")
    conversation = endpoint.next()
    conversation.say("so far")
    assert heard(child, 6) == "so far"
    child.send_signal(signal.SIGINT)
    done = home.finish(child, within_s=5)
    assert (done.status, done.out, done.err) == (130, "\n", "")
    assert ended_turn(home)["state"] == "cancelled"
    assert conversation.left.wait(5)
    assert home.call("turn.show", turn_id=ended_turn(home)["turn_id"])["text"] == "so far"


def test_ctrl_c_before_the_first_word_cancels_as_well(home: Home, endpoint: Endpoint) -> None:
    child = home.start(*SCRIPTED, "go")
    conversation = endpoint.next()
    child.send_signal(signal.SIGINT)
    done = home.finish(child, within_s=5)
    assert (done.status, done.out, done.err) == (130, "", "")
    assert ended_turn(home)["state"] == "cancelled"
    assert conversation.left.wait(5)


def test_ctrl_c_frees_the_worker(model_home: Home) -> None:
    child = model_home.start(*ENDLESS)
    model_speaks(model_home)
    with model_home.connect() as wire:
        (worker,) = wire.call("daemon.status")["workers"]
        assert worker["busy"] == 1
        child.send_signal(signal.SIGINT)
        assert model_home.finish(child, within_s=5).status == 130
        until(lambda: wire.call("daemon.status")["workers"][0]["busy"] == 0, "the slot is free", within_s=2)
        (same,) = wire.call("daemon.status")["workers"]
    assert same["pid"] == worker["pid"]


def test_leaving_while_the_prompt_is_read_frees_the_worker(model_home: Home) -> None:
    """A prompt of some 1,500 tokens takes seconds to read; the client goes in the middle of it."""
    model_home.ask("run", "--no-session", "--system", "", "-o", "max_tokens=1", "Hi")
    with model_home.connect() as watching:
        with model_home.connect() as wire:
            wire.request("turn.start", message="word " * 1500, system="", options={"max_tokens": 1})
            while wire.next("turn.progress")["phase"] != "prefill":
                pass
            assert watching.call("daemon.status")["workers"][0]["busy"] == 1
        until(lambda: watching.call("daemon.status")["workers"][0]["busy"] == 0, "the slot is free", within_s=3)
    turn = model_home.call("turn.list", limit=1)["turns"][0]
    assert turn["state"] == "cancelled"


def test_a_closed_pipe_cancels_the_turn(model_home: Home) -> None:
    child = model_home.start(*ENDLESS, stdout=subprocess.PIPE)
    head = subprocess.run(["head", "-c", "5"], stdin=child.stdout, capture_output=True, timeout=PATIENCE_S, check=True)
    assert len(head.stdout) == 5
    assert child.stdout is not None
    child.stdout.close()
    child.stdout = None
    done = model_home.finish(child, within_s=10)
    # 128 + SIGPIPE, as a shell reports it.
    assert (done.status, done.err) == (141, "")
    assert ended_turn(model_home)["state"] == "cancelled"


def test_a_killed_client_cancels_its_turn(home: Home, endpoint: Endpoint) -> None:
    child = home.start(*SCRIPTED, "go")
    conversation = endpoint.next()
    conversation.say("word")
    heard(child, 4)
    child.kill()
    assert conversation.left.wait(5)
    assert ended_turn(home)["state"] == "cancelled"


def test_a_killed_watcher_changes_nothing_for_a_detached_turn(home: Home, endpoint: Endpoint) -> None:
    turn_id = home.ask(*SCRIPTED, "--detach", "-q", "go").strip()
    conversation = endpoint.next()
    watcher = home.start("attach", turn_id)
    conversation.say("one ")
    heard(watcher, 3)
    with gone(watcher.pid):
        watcher.kill()
    assert not conversation.left.is_set()
    conversation.end("two")
    assert home.ask("attach", turn_id) == "one two\n"
    assert ended_turn(home)["state"] == "completed"


def test_a_watcher_that_interrupts_leaves_the_turn_running(home: Home, endpoint: Endpoint) -> None:
    turn_id = home.ask(*SCRIPTED, "--detach", "-q", "go").strip()
    conversation = endpoint.next()
    watcher = home.start("attach", turn_id)
    conversation.say("one ")
    heard(watcher, 3)
    watcher.send_signal(signal.SIGINT)
    assert home.finish(watcher, within_s=5).status == 130
    conversation.end("two")
    assert home.ask("attach", turn_id) == "one two\n"


def test_a_half_closed_client_gets_the_whole_answer(home: Home, endpoint: Endpoint) -> None:
    """`printf request | nc -U agentgw.sock`."""
    home.daemon()
    with home.connect() as wire:
        request_id = wire.request("turn.start", message="go", model="scripted/m")
        wire.raw.shutdown(socket.SHUT_WR)
        conversation = endpoint.next()
        conversation.say("one ")
        assert wire.next("turn.delta")["text"] == "one "
        conversation.end("two")
        _, result = wire.outcome(request_id)
        assert result["text"] == "one two"
        assert wire.is_closed()


def test_a_half_closed_client_that_dies_cancels_its_turn(home: Home, endpoint: Endpoint) -> None:
    home.daemon()
    with home.connect() as wire:
        wire.request("turn.start", message="go", model="scripted/m")
        wire.raw.shutdown(socket.SHUT_WR)
        conversation = endpoint.next()
    assert conversation.left.wait(5)
    assert ended_turn(home)["state"] == "cancelled"


def test_a_turn_cancelled_by_somebody_else_ends_for_its_client_too(home: Home, endpoint: Endpoint) -> None:
    child = home.start(*SCRIPTED, "go")
    endpoint.next().say("so far")
    assert heard(child, 6) == "so far"
    (turn,) = home.call("turn.list", running=True)["turns"]
    home.call("turn.cancel", turn_id=turn["turn_id"])
    done = home.finish(child, within_s=5)
    assert (done.status, done.out) == (130, "\n")


def test_progress_goes_to_a_terminal_and_only_there(model_home: Home) -> None:
    controller, terminal = pty.openpty()
    words = ("run", "--system", "", "-o", "max_tokens=1", "Hi")
    child = model_home.start(*words, stderr=terminal, environ={"TERM": "xterm-256color", "NO_COLOR": "1"})
    os.close(terminal)
    assert model_home.finish(child).status == 0
    said = b""
    try:
        while part := os.read(controller, 4096):
            said += part
    except OSError:
        # A terminal whose other side is closed reads as an I/O error.
        pass
    finally:
        os.close(controller)
    assert b"loading the model" in said
    assert b"\x1b" not in said


def test_a_reader_that_pauses_misses_nothing(home: Home) -> None:
    """Backpressure: the turn waits for its owner, and every number arrives once."""
    home.daemon()
    with home.connect() as wire:
        request_id = wire.request("turn.start", message="word " * 50_000, model="echo", ephemeral=True)
        # The turn stands still meanwhile, the daemon does not.
        with home.connect() as other:
            assert other.call("ping") == "pong"
        notifications, result = wire.outcome(request_id)
    assert [one["params"]["seq"] for one in notifications] == list(range(1, result["last_seq"] + 1))
    deltas = [one["params"]["text"] for one in notifications if one["method"] == "turn.delta"]
    assert "".join(deltas) == result["text"] == "word " * 50_000
