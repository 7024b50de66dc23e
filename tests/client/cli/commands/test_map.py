from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.client.commandline import Cli, Run
from tests.client.fakedaemon import Failure, HangUp, Peer, Serve
from tests.patience import PATIENCE_S


def reply(text: str, **more: Any) -> dict[str, Any]:
    return {"turn_id": f"t-{text}", "session_id": "s", "text": text, "finish_reason": "stop", **more}


def shout(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
    return reply(params["message"].upper())


def test_each_line_has_its_answer_in_its_place(agentgw: Run, serve: Serve) -> None:
    first_may_end = threading.Event()

    def late(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        # The first answer comes last.
        if params["message"] == "a: 1":
            first_may_end.wait(20)
        if params["message"] == "a: 3":
            first_may_end.set()
        return shout(peer, params)

    daemon = serve({"turn.start": late})
    done = agentgw("map", "a: {}", "-s", "sorter", stdin="1\n2\r\n\n3")
    assert (done.returncode, done.stdout, done.stderr) == (0, "A: 1\nA: 2\n\nA: 3\n", "")
    asked = daemon.params("turn.start")
    assert (asked["piped"], asked["ephemeral"], asked["tools"], asked["approvals"]) == (True, True, [], ["deny"])
    assert asked["skill"] == "sorter"
    assert daemon.methods().count("turn.start") == 3


def test_no_more_than_asked_for_are_in_flight(agentgw: Run, serve: Serve) -> None:
    lock, most, running = threading.Lock(), 0, 0
    together = threading.Barrier(3)

    def count(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        nonlocal most, running
        with lock:
            running += 1
            most = max(most, running)
        together.wait(20)
        with lock:
            running -= 1
        return shout(peer, params)

    serve({"turn.start": count})
    assert agentgw("map", "{}", "-j", "3", stdin="abcdefghi".replace("", "\n").strip() + "\n").returncode == 0
    assert most == 3


@pytest.mark.parametrize(("words", "slots", "most"), [((), 3, 6), ((), 2, 5), ((), 4, 3), (("--timeout", "9"), 3, 3)])
def test_a_local_model_knows_the_next_records_where_all_of_its_slots_are_asked_for(
    agentgw: Run, serve: Serve, words: tuple[str, ...], slots: int, most: int
) -> None:
    lock, running, found = threading.Lock(), 0, 0
    full = threading.Event()

    def count(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        nonlocal running, found
        if params["message"] == "first":
            peer.notify("turn.started", turn_id="t", session_id="s", seq=1, skill="x", model="small")
            return shout(peer, params)
        with lock:
            running += 1
            found = max(found, running)
            if running == most:
                full.set()
        full.wait(PATIENCE_S)
        with lock:
            running -= 1
        return shout(peer, params)

    worker = {"kind": "model", "model": "small", "slots": slots}
    other = {"kind": "model", "model": "other", "slots": 1}
    serve({"turn.start": count, "daemon.status": lambda _peer, _params: {"workers": [other, worker]}})
    done = agentgw("map", "{}", "-j", "3", *words, stdin="first\n" + "x\n" * (2 * most))
    assert (done.returncode, done.stdout) == (0, "FIRST\n" + "X\n" * (2 * most))
    assert found == most


def test_failed_records_are_named_and_leave_their_lines_empty(agentgw: Run, serve: Serve) -> None:
    def some(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        if params["message"] == "b":
            raise Failure(-32013, "the answer does not meet the schema")
        if params["message"] == "c":
            return reply("", finish_reason="iteration_limit")
        return shout(peer, params)

    serve({"turn.start": some})
    done = agentgw("map", "{}", "-j", "1", stdin="a\nb\nc\nd\n")
    assert (done.returncode, done.stdout) == (1, "A\n\n\nD\n")
    assert done.stderr.splitlines() == [
        "agentgw: record 2: the answer does not meet the schema",
        "agentgw: record 3: reached the limit of steps before there was an answer",
        "agentgw: 2 of 4 records failed",
    ]


@pytest.mark.parametrize(("code", "status"), [(-32006, 4), (-32001, 1), (-32602, 2)])
def test_what_is_wrong_with_all_records_ends_it_at_the_first(
    agentgw: Run, serve: Serve, code: int, status: int
) -> None:
    daemon = serve({"turn.start": Failure(code, "no such thing", hint="do this")})
    done = agentgw("map", "{}", "-j", "1", stdin="a\nb\nc\n")
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "agentgw: no such thing. do this\n")
    assert daemon.methods().count("turn.start") == 1


@pytest.mark.parametrize(
    "refusal",
    [
        Failure(-32006, "not a word", no_answer=True),
        Failure(-32602, "there is no message", path="message", reason="is empty"),
    ],
)
def test_what_is_wrong_with_one_message_costs_the_others_nothing(agentgw: Run, serve: Serve, refusal: Failure) -> None:
    def choosy(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        if params["message"] == "b":
            raise refusal
        return shout(peer, params)

    serve({"turn.start": choosy})
    done = agentgw("map", "{}", "-j", "1", stdin="a\nb\nc\n")
    assert (done.returncode, done.stdout) == (1, "A\n\nC\n")
    assert f"record 2: {refusal}" in done.stderr


def test_a_daemon_that_goes_is_found_again_and_asked_what_it_was(agentgw: Run, serve: Serve) -> None:
    gone = threading.Event()

    def once(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        if params["message"] == "b" and not gone.is_set():
            gone.set()
            raise HangUp
        return shout(peer, params)

    serve({"turn.start": once})
    done = agentgw("map", "{}", "-j", "1", stdin="a\nb\nc\n")
    assert (done.returncode, done.stdout) == (0, "A\nB\nC\n")
    assert "going on with the next one" in done.stderr


def test_a_daemon_that_goes_each_time_is_given_up(agentgw: Run, serve: Serve) -> None:
    def never(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        raise HangUp

    serve({"turn.start": never})
    done = agentgw("map", "{}", stdin="a\n")
    assert (done.returncode, done.stdout) == (3, "")


def test_a_question_with_tools_is_never_put_twice(agentgw: Run, serve: Serve) -> None:
    gone = threading.Event()

    def once(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        if not gone.is_set():
            gone.set()
            raise HangUp
        return shout(peer, params)

    daemon = serve({"turn.start": once})
    done = agentgw("map", "{}", "-j", "1", "-t", "write_file", "--approve", "write_file", stdin="a\nb\n")
    assert (done.returncode, done.stdout) == (1, "\nB\n")
    assert "record 1:" in done.stderr
    assert daemon.params("turn.start")["approvals"] == ["write_file", "deny"]


def test_a_denied_tool_is_told_and_is_exit_5(agentgw: Run, serve: Serve) -> None:
    def denied(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        peer.notify("turn.tool_result", turn_id="t-X", denied=True, ok=False, content="")
        return reply("X")

    serve({"turn.start": denied})
    done = agentgw("map", "{}", "-t", "run_command", stdin="a\n")
    assert (done.returncode, done.stdout) == (5, "X\n")
    assert "record 1: a tool was denied" in done.stderr


def test_a_daemon_that_is_busy_is_asked_again(agentgw: Run, serve: Serve) -> None:
    refused = threading.Event()

    def busy(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        if params["message"] == "b" and not refused.is_set():
            refused.set()
            raise Failure(-32004, "Overloaded")
        return shout(peer, params)

    serve({"turn.start": busy})
    done = agentgw("map", "{}", stdin="a\nb\nc\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "A\nB\nC\n", "")


@pytest.mark.parametrize("first", ["worker", "cancelled"])
def test_what_ended_under_a_question_is_asked_once_more(agentgw: Run, serve: Serve, first: str) -> None:
    asked: list[str] = []

    def dies(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        asked.append(params["message"])
        if params["message"] == "bad" or asked.count("a") == 1:
            if first == "worker":
                raise Failure(-32007, "the worker died")
            return reply("", finish_reason="cancelled")
        return shout(peer, params)

    serve({"turn.start": dies})
    done = agentgw("map", "{}", "-j", "1", stdin="a\nbad\n")
    assert (done.returncode, done.stdout) == (1, "A\n\n")
    assert asked == ["a", "a", "bad", "bad"]


def test_resumed_it_asks_only_about_what_has_no_answer(agentgw: Run, serve: Serve, tmp_path: Path) -> None:
    asked: list[str] = []
    healthy = threading.Event()

    def flaky(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        asked.append(params["message"])
        if params["message"] == "b" and not healthy.is_set():
            raise Failure(-32603, "not now")
        return shout(peer, params)

    serve({"turn.start": flaky})
    words = ("map", "{}", "--resume", str(tmp_path / "j"))
    first = agentgw(*words, stdin="a\nb\nc\n")
    assert (first.returncode, first.stdout) == (1, "A\n\nC\n")
    assert "asks only about them again" in first.stderr
    healthy.set()
    asked.clear()
    again = agentgw(*words, "-j", "2", stdin="a\nb\nc\nd\n")
    assert (again.returncode, again.stdout, again.stderr) == (0, "A\nB\nC\nD\n", "")
    assert sorted(asked) == ["b", "d"]
    # A line that is another by now is asked about.
    assert agentgw(*words, stdin="a\nx\nc\nd\n").stdout == "A\nX\nC\nD\n"
    other = agentgw("map", "! {}", "--resume", str(tmp_path / "j"), stdin="a\n")
    assert (other.returncode, other.stdout) == (2, "")


def test_a_reader_that_leaves_ends_it_while_nothing_comes(home: Path, serve: Serve) -> None:
    started, ended = threading.Event(), threading.Event()

    def hang(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        started.set()
        peer.gone.wait(20)
        ended.set()
        return reply("")

    serve({"turn.start": hang})
    with subprocess.Popen(
        [sys.executable, "-m", "agentgw", "map", "{}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"a\n")
        child.stdin.flush()
        assert started.wait(20)
        child.stdout.close()
        assert child.wait(PATIENCE_S) == 141
    assert ended.wait(PATIENCE_S)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_what_is_there(home: Path, serve: Serve, number: signal.Signals) -> None:
    def second_hangs(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        if params["message"] == "b":
            peer.gone.wait(20)
        return shout(peer, params)

    serve({"turn.start": second_hangs})
    with subprocess.Popen(
        [sys.executable, "-m", "agentgw", "map", "{}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"a\nb\n")
        child.stdin.flush()
        # Before the input ends: answers are shown as they come.
        assert child.stdout.readline() == b"A\n"
        child.send_signal(number)
        out, err = child.communicate(timeout=PATIENCE_S)
        assert (child.returncode, out) == (130, b"")
        assert err == b"agentgw: interrupted after 1 answers\n"


def test_a_slow_reader_holds_back_the_questions_and_not_the_replies(home: Path, serve: Serve) -> None:
    long = "x" * 4000

    def answer(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        return reply(long)

    daemon = serve({"turn.start": answer})
    with subprocess.Popen(
        [sys.executable, "-m", "agentgw", "map", "{}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"a\n" * 400)
        child.stdin.close()
        first = child.stdout.readline()
        # What a pipe, the buffers of both sides and the window hold is less than half of it.
        assert daemon.methods().count("turn.start") < 200
        assert [first, *child.stdout] == [f"{long}\n".encode()] * 400
        assert child.wait(PATIENCE_S) == 0


def test_notices_are_told_once(agentgw: Run, serve: Serve) -> None:
    def noticed(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        peer.notify("turn.notice", code="x", text="the project's own skill is not used")
        return shout(peer, params)

    serve({"turn.start": noticed})
    assert agentgw("map", "{}", stdin="a\nb\n").stderr == "agentgw: the project's own skill is not used\n"


def test_answers_that_were_cut_are_counted(agentgw: Run, serve: Serve) -> None:
    serve({"turn.start": reply("x", finish_reason="length")})
    assert "2 answers were cut" in agentgw("map", "{}", stdin="a\nb\n").stderr
    assert agentgw("map", "{}", "-o", "max_tokens=1", stdin="a\nb\n").stderr == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("{}", "-j", "0"), "-j takes 1 to 32"),
        (("{}", "-j", "33"), "-j takes 1 to 32"),
        (("{x}",), "--csv or --jsonl"),
        (("{}", "--approve", "ask"), "nobody is asked"),
        (("{}", "--approve", "a,,b"), "takes names of tools"),
        (("{}", "--csv", "--jsonl"), "not allowed with"),
        (("{}", "--schema", "{"), "no JSON"),
    ],
)
def test_wrong_words_are_told_before_anything_is_asked(
    cli: Cli, serve: Serve, words: tuple[str, ...], told: str
) -> None:
    daemon = serve({"turn.start": shout})
    status, out, err = cli("map", *words)
    assert (status, out) == (2, "")
    assert told in err
    assert "turn.start" not in daemon.methods()


def test_forms_with_fields_go_out_as_they_came(agentgw: Run, serve: Serve) -> None:
    serve({"turn.start": shout})
    assert agentgw("map", "{n}?", "--csv", stdin='n,x\n"a,b",1\n').stdout == 'n,x,answer\n"a,b",1,"A,B?"\n'
    assert agentgw("map", "{n}?", "--jsonl", "--into", "up", stdin='{"n": "a"}\n').stdout == '{"n": "a", "up": "A?"}\n'
    assert agentgw("map", "{}?", "--null", stdin="a\nb\0").stdout == "A\nB?\0"
