from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from agentgw.cli.commands.run import OPTIONS, read_options
from agentgw.protocol.errors import ContextOverflow, Timeout, UsageError, WorkerDied
from agentgw.protocol.records.schema import fields_of
from agentgw.protocol.types import Options
from agentgw.transport.framing import MAX_MESSAGE_BYTES
from tests.client.commandline import Cli, Run, Terminal
from tests.client.fakedaemon import Failure, FakeDaemon, Peer, Serve
from tests.patience import PATIENCE_S, Stopwatch

RESULT: dict[str, Any] = {
    "turn_id": "turn1", "session_id": "session1", "text": "", "finish_reason": "stop",
    "usage": {"prompt_tokens": 3, "cached_tokens": 0, "completion_tokens": 2},
}  # fmt: skip

# What a daemon without a model says this machine could run.
RANKED: Final[dict[str, Any]] = {
    "dated": "2026-11-28", "disk_bytes": 1, "best": "hf:o/r:Q4_0",
    "models": [
        {"name": "hf:o/r:Q4_0", "download_bytes": 5_000_000_000, "licence": "mit", "tokens_per_s": 7.6,
         "description": "for a day's work"},
        {"name": "smollm2:135m", "download_bytes": 98_362_432, "licence": "Apache-2.0", "tokens_per_s": 0.4,
         "description": "for first steps"},
    ],
}  # fmt: skip


def echo(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
    """A delta a word, as the built-in model does."""
    text = params["message"]
    peer.notify("turn.started", skill="general-assistant", model="echo")
    for number, word in enumerate(text.split(" ")):
        peer.delta((" " if number else "") + word)
    peer.notify("turn.completed", finish_reason="stop")
    return {**RESULT, "text": text, "last_seq": peer.seq}


def until_cancelled(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
    peer.notify("turn.started", skill="general-assistant", model="echo")
    peer.delta("half an ans")
    assert peer.cancelled.wait(10) or peer.gone.is_set()
    return {**RESULT, "finish_reason": "cancelled"}


@pytest.fixture
def daemon(serve: Serve) -> FakeDaemon:
    return serve({"turn.start": echo})


def test_the_answer_is_all_that_is_on_stdout(cli: Cli, daemon: FakeDaemon) -> None:
    assert cli("run", "why", "is", "the sky") == (0, "why is the sky\n", "")
    params = daemon.params("turn.start")
    assert params == {"message": "why is the sky", "cwd": os.getcwd(), "approvals": ["deny"]}


@pytest.mark.parametrize("words", [("-t", "a,b"), ("-t", "a", "-t", "b"), ("-t", " a , b ")])
def test_tools_may_be_named_one_by_one_or_with_commas(cli: Cli, daemon: FakeDaemon, words: tuple[str, ...]) -> None:
    cli("run", *words, "hi")
    assert daemon.params("turn.start")["tools"] == ["a", "b"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-t", ""), "-t has an empty word. write names with commas between; --no-tools is for none"),
        (("-t", "a,"), "-t has an empty word. write names with commas between; --no-tools is for none"),
        (("-s", " "), "the skill's name is empty. agentgw skills lists them"),
        (("-f", ""), "the file's name is empty. -f FILE takes one file; -f - is standard input"),
        (("--approve", "ask,deny"),
         "--approve says ask and deny. take one: what it does not name is asked about or denied"),
    ],
)  # fmt: skip
def test_words_that_cannot_be_meant_are_told(cli: Cli, daemon: FakeDaemon, words: tuple[str, ...], said: str) -> None:
    assert cli("run", *words, "hi") == (2, "", f"agentgw: {said}\n")
    assert "turn.start" not in daemon.methods()


def test_a_second_file_behind_one_f_is_told(
    cli: Cli, daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    status, out, err = cli("run", "-f", "a", "b", "c")
    assert (status, out) == (2, "")
    assert err == "agentgw: b is a file, and would be the message. each file has its own -f: -f b\n"
    assert "turn.start" not in daemon.methods()
    assert cli("run", "-f", "a", "b", "explain")[2] == (
        "agentgw: b is a file, and here a word of the message; -f b sends what it holds\n"
    )
    assert cli("run", "-f", "a", "nothing")[2] == ""
    # Without -f nobody meant a file.
    assert cli("run", "b")[2] == ""


def test_a_detached_turn_of_a_script_says_how_its_calls_may_be_asked_about(cli: Cli, daemon: FakeDaemon) -> None:
    assert cli("run", "--detach", "hi")[2] == (
        "agentgw: calls that need a yes are denied; --approve ask has them wait, see agentgw approvals\n"
    )
    assert cli("run", "--detach", "--approve", "ask", "hi")[2] == ""


def test_flags_and_words_may_be_mixed(cli: Cli, daemon: FakeDaemon) -> None:
    assert cli("run", "one", "-s", "quick_assistant", "two", "--", "--three")[1] == "one two --three\n"
    assert daemon.params("turn.start")["skill"] == "quick_assistant"


def test_every_flag_reaches_the_daemon(cli: Cli, daemon: FakeDaemon) -> None:
    cli(
        "run", "hi", "-s", "code-assistant", "-m", "echo", "--system", "be brief", "-o", "temperature=0.5",
        "-o", "stop=a=b", "-o", "stop=\n", "-o", "max_tokens=7", "--session", "01JD", "-q",
    )  # fmt: skip
    assert daemon.params("turn.start") == {
        "message": "hi", "skill": "code-assistant", "model": "echo", "system": "be brief", "session_id": "01JD",
        "cwd": os.getcwd(), "approvals": ["deny"],
        "options": {"temperature": 0.5, "stop": ["a=b", "\n"], "max_tokens": 7},
    }  # fmt: skip


def test_no_session_stores_nothing(cli: Cli, daemon: FakeDaemon) -> None:
    cli("run", "--no-session", "hi")
    assert daemon.params("turn.start")["ephemeral"] is True


def test_a_local_model_is_named_from_the_root(
    cli: Cli, daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for given, meant in (
        ("./my.gguf", f"{tmp_path}/my.gguf"), ("my.gguf", f"{tmp_path}/my.gguf"), ("/x/my.gguf", "/x/my.gguf"),
        ("./MY.GGUF", f"{tmp_path}/MY.GGUF"),
        ("hf:o/r/f.gguf", "hf:o/r/f.gguf"), ("smollm2:135m", "smollm2:135m"), ("vllm/big", "vllm/big"),
    ):  # fmt: skip
        cli("run", "-m", given, "hi")
        assert daemon.params("turn.start")["model"] == meant


@pytest.mark.parametrize("given", ["far/my.gguf", "far/sub/my.GGUF", "far//models/my.gguf"])
def test_a_providers_model_may_have_the_name_of_a_file(cli: Cli, daemon: FakeDaemon, given: str) -> None:
    daemon.answers["config.get"] = {"settings": [{"key": "providers.far.base_url", "value": "x", "origin": "file"}]}
    cli("run", "-m", given, "hi")
    assert daemon.params("turn.start")["model"] == given


def test_a_file_in_a_folder_is_one_where_no_provider_has_its_name(
    cli: Cli, daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    daemon.answers["config.get"] = {"settings": [{"key": "providers.far.base_url", "value": "x", "origin": "file"}]}
    for given in ("fa/my.gguf", "./far/my.gguf", "../far/my.gguf", "/far/my.gguf"):
        cli("run", "-m", given, "hi")
        assert daemon.params("turn.start")["model"] == os.path.abspath(given)


class TestInput:
    def test_piped_input_follows_the_text_after_a_blank_line(self, agentgw: Run, daemon: FakeDaemon) -> None:
        done = agentgw("run", "summarise", "this", stdin="line one\nline two\n")
        assert done.stdout == "summarise this\n\nline one\nline two\n"

    def test_piped_input_alone_is_the_message(self, agentgw: Run, daemon: FakeDaemon) -> None:
        assert agentgw("run", stdin="hello\n").stdout == "hello\n"
        assert daemon.params("turn.start")["message"] == "hello"

    def test_a_dash_is_the_input_alone(self, agentgw: Run, daemon: FakeDaemon) -> None:
        assert agentgw("run", "-", stdin="hello").stdout == "hello\n"
        assert daemon.params("turn.start")["message"] == "hello"

    @pytest.mark.parametrize(
        ("words", "stdin", "piped"),
        [(["hi"], "data", True), ([], "data", True), (["-"], "data", True), (["hi"], "", None), (["hi"], None, None)],
    )
    def test_the_daemon_is_told_that_text_was_not_typed(
        self, agentgw: Run, daemon: FakeDaemon, words: list[str], stdin: str | None, piped: bool | None
    ) -> None:
        agentgw("run", *words, **({} if stdin is None else {"stdin": stdin}))
        assert daemon.params("turn.start").get("piped") is piped

    def test_what_is_typed_at_a_terminal_is_the_users_own(self, daemon: FakeDaemon) -> None:
        for words in (("-",), ("-f", "-", "look")):
            terminal = Terminal("run", *words)
            terminal.type("my own words\n\x04")
            assert terminal.end() == 0
            params = daemon.params("turn.start")
            assert "piped" not in params
            files = params.get("files", [])
            assert files == ([{"name": "stdin", "text": "my own words", "typed": True}] if "-f" in words else [])

    def test_empty_input_leaves_the_text(self, agentgw: Run, daemon: FakeDaemon) -> None:
        assert agentgw("run", "hi", stdin="").stdout == "hi\n"
        assert agentgw("run", "hi").stdout == "hi\n"

    def test_a_closed_stdin_is_no_input(self, daemon: FakeDaemon) -> None:
        command = f"exec {sys.executable} -m agentgw run hi <&-"
        assert subprocess.run(["sh", "-c", command], capture_output=True, text=True).stdout == "hi\n"

    def test_a_file_and_a_socket_are_input(self, daemon: FakeDaemon, tmp_path: Path) -> None:
        (tmp_path / "in").write_text("from a file\n")
        ours, theirs = socket.socketpair()
        ours.sendall(b"from a socket\n")
        ours.close()
        with (tmp_path / "in").open() as file:
            for stdin, text in ((file, "from a file\n"), (theirs, "from a socket\n")):
                done = subprocess.run(
                    [sys.executable, "-m", "agentgw", "run"], stdin=stdin, capture_output=True, text=True
                )
                assert done.stdout == text
        theirs.close()

    def test_no_message_at_all_is_a_usage_error(self, agentgw: Run, daemon: FakeDaemon) -> None:
        for words in (("run",), ("run", "-q"), ("run", "-")):
            done = agentgw(*words, stdin="")
            assert (done.returncode, done.stdout) == (2, "")
            assert "there is no message" in done.stderr
        assert daemon.received == []

    def test_files_travel_with_their_names(self, cli: Cli, daemon: FakeDaemon, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("äöü\n")
        (tmp_path / "b.txt").write_text("")
        cli("run", "-f", f"{tmp_path}/a.txt", "-f", f"{tmp_path}/b.txt", "look")
        params = daemon.params("turn.start")
        assert params["message"] == "look"
        assert params["files"] == [
            {"name": f"{tmp_path}/a.txt", "text": "äöü\n"}, {"name": f"{tmp_path}/b.txt", "text": ""},
        ]  # fmt: skip

    def test_a_file_may_be_the_input_and_needs_no_text(self, agentgw: Run, daemon: FakeDaemon) -> None:
        assert agentgw("run", "-f", "-", stdin="from the pipe").returncode == 0
        params = daemon.params("turn.start")
        assert (params["message"], params["files"]) == ("", [{"name": "stdin", "text": "from the pipe"}])

    @pytest.mark.parametrize("path", ["/nowhere/x", "/"])
    def test_a_file_that_cannot_be_read_is_a_usage_error(self, cli: Cli, path: str) -> None:
        status, _, err = cli("run", "-f", path, "hi")
        assert status == 2
        assert err.startswith(f"agentgw: {path} cannot be read: ")

    def test_what_is_not_text_is_refused(self, agentgw: Run, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(b"abc\xff")
        done = agentgw("run", "-f", f"{tmp_path}/x", "hi")
        assert (done.returncode, done.stderr) == (
            2,
            f"agentgw: {tmp_path}/x is not UTF-8 text (byte 3). convert it first\n",
        )

    def test_too_large_a_message_is_exit_7_with_the_numbers(
        self, agentgw: Run, daemon: FakeDaemon, tmp_path: Path
    ) -> None:
        (tmp_path / "x").write_text("x" * (MAX_MESSAGE_BYTES - 10))
        done = agentgw("run", "-f", f"{tmp_path}/x", "hi")
        assert done.returncode == 7
        assert str(MAX_MESSAGE_BYTES) in done.stderr
        assert done.stderr.count("\n") == 1
        assert "turn.start" not in daemon.methods()

    def test_input_without_end_is_not_read_to_its_end(self, daemon: FakeDaemon) -> None:
        command = f"yes | {sys.executable} -m agentgw run hi"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 7
        assert f"more than the {MAX_MESSAGE_BYTES} bytes" in done.stderr


class TestOptions:
    def test_their_names_are_those_of_the_contract(self) -> None:
        assert set(OPTIONS) == {field.name for field in fields_of(Options)}

    def test_each_has_its_type(self) -> None:
        words = ["temperature=0", "top-k=40", "top_p=0.9", "min_p=0.05", "repeat_penalty=1.1", "seed=7", "stop= x"]
        made = read_options(words)
        assert made == {
            "temperature": 0.0, "top_k": 40, "top_p": 0.9, "min_p": 0.05, "repeat_penalty": 1.1, "seed": 7,
            "stop": [" x"],
        }  # fmt: skip
        assert isinstance(made["temperature"], float)

    @pytest.mark.parametrize(
        ("word", "message"),
        [
            ("temprature=1", "did you mean temperature"), ("x=1", "known are temperature"), ("seed", "has no value"),
            ("seed=1.5", "takes a whole number"), ("top_p=much", "takes a number"),
        ],
    )  # fmt: skip
    def test_a_wrong_one_says_what_would_be_right(self, word: str, message: str) -> None:
        with pytest.raises(UsageError) as caught:
            read_options([word])
        assert message in f"{caught.value.message} {caught.value.hint}"


class TestContinue:
    def test_it_takes_the_last_session_of_this_directory(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"turn.start": echo, "session.list": {"sessions": [{"session_id": "s9"}]}})
        assert cli("run", "-c", "hi") == (0, "hi\n", "")
        assert daemon.params("session.list") == {"cwd": os.getcwd(), "limit": 1}
        assert daemon.params("turn.start")["session_id"] == "s9"

    def test_without_one_it_begins_one_and_says_so(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"turn.start": echo, "session.list": {"sessions": []}})
        status, out, err = cli("run", "-c", "hi")
        assert (status, out) == (0, "hi\n")
        assert err == "agentgw: no session was started here yet, this begins one\n"
        assert "session_id" not in daemon.params("turn.start")


class TestForms:
    @pytest.mark.parametrize("words", [("--json",), ("--output-format", "json")])
    def test_json_is_the_result_alone(self, cli: Cli, daemon: FakeDaemon, words: tuple[str, ...]) -> None:
        status, out, _ = cli("run", *words, "a b")
        assert status == 0
        assert json.loads(out) == {**RESULT, "text": "a b", "last_seq": 4}
        assert out.count("\n") == 1

    def test_stream_json_is_every_event_and_then_the_result(self, cli: Cli, daemon: FakeDaemon) -> None:
        _, out, _ = cli("run", "--output-format", "stream-json", "a b")
        *events, result = map(json.loads, out.splitlines())
        assert [event["method"] for event in events] == ["turn.started", "turn.delta", "turn.delta", "turn.completed"]
        assert [event["params"]["seq"] for event in events] == [1, 2, 3, 4]
        assert set(events[0]) == {"method", "params"}
        assert result["text"] == "a b"

    def test_without_streaming_the_text_is_that_of_the_result(self, cli: Cli, serve: Serve) -> None:
        serve({"turn.start": lambda peer, params: peer.delta("streamed") or {**RESULT, "text": "whole\n\n"}})
        assert cli("run", "--no-stream", "hi") == (0, "whole\n", "")

    @pytest.mark.parametrize("parts", [["a\n", "\n", "b", "\n\n\n"], ["a\n\nb"], ["a\n\n", "b\n"]])
    def test_a_streamed_answer_ends_in_one_newline(self, cli: Cli, serve: Serve, parts: list[str]) -> None:
        serve({"turn.start": lambda peer, params: [peer.delta(part) for part in parts] and RESULT})
        assert cli("run", "hi") == (0, "a\n\nb\n", "")

    def test_reasoning_is_not_the_answer(self, cli: Cli, serve: Serve) -> None:
        def think(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            peer.notify("turn.delta", text="hmm", channel="reasoning")
            peer.delta("yes")
            return RESULT

        serve({"turn.start": think})
        assert cli("run", "hi") == (0, "yes\n", "")

    def test_a_notice_goes_to_stderr_unless_it_is_quiet(self, cli: Cli, serve: Serve) -> None:
        def trim(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            peer.notify("turn.notice", code="context_trimmed", text="300 tokens were left out")
            peer.delta("yes")
            return RESULT

        serve({"turn.start": trim})
        assert cli("run", "hi") == (0, "yes\n", "agentgw: 300 tokens were left out\n")
        assert cli("run", "-q", "hi") == (0, "yes\n", "")

    def test_a_detached_turn_prints_its_id(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"turn.start": {"turn_id": "turn7", "session_id": "s"}})
        assert cli("run", "--detach", "-q", "hi") == (0, "turn7\n", "")
        assert daemon.params("turn.start")["detach"] is True
        assert json.loads(cli("run", "--detach", "--json", "hi")[1])["turn_id"] == "turn7"

    def test_a_dry_run_prints_the_prompt(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"turn.start": {**RESULT, "text": "<|user|>hi", "finish_reason": None}})
        assert cli("run", "--dry-run", "hi") == (0, "<|user|>hi\n", "agentgw: 3 tokens\n")
        assert daemon.params("turn.start")["dry_run"] is True

    def test_a_dry_run_counts_the_parts_and_tells_what_would_be_left_out(self, cli: Cli, serve: Serve) -> None:
        parts = [{"name": "template", "tokens": 14}, {"name": "earlier\nturns", "tokens": 1000}]
        fit = {"n_ctx_tokens": 2048, "left_out_turns": 2, "left_out_tokens": 300, "estimated": False}
        usage = {"prompt_tokens": 1014, "cached_tokens": 0, "completion_tokens": 0}
        result = {**RESULT, "text": "<|user|>hi", "finish_reason": None, "usage": usage, "parts": parts, "fit": fit}
        daemon = serve({"turn.start": result})
        status, out, err = cli("run", "--dry-run", "hi")
        assert (status, out) == (0, "<|user|>hi\n")
        assert err.splitlines() == [
            "template         14",
            "earlier turns  1000",
            "agentgw: 1014 tokens, 50% of the context of 2048",
            "agentgw: the 2 oldest turns (300 tokens) would be left out",
        ]
        status, out, err = cli("run", "--dry-run", "--json", "hi")
        assert (json.loads(out), err) == (result, "")
        daemon.answers["turn.start"] = {**result, "fit": {"left_out_turns": 0, "left_out_tokens": 0, "estimated": True}}
        assert cli("run", "--dry-run", "hi")[2].splitlines()[2:] == ["agentgw: about 1014 tokens"]
        assert cli("run", "--dry-run", "-q", "hi") == (0, "<|user|>hi\n", "")

    def test_a_dry_run_of_what_cannot_fit_shows_its_parts_and_fails_as_the_turn_would(
        self, cli: Cli, serve: Serve
    ) -> None:
        serve({"turn.start": Failure(-32005, "it does not fit", parts=[{"name": "file big", "tokens": 9000}])})
        told = f"file big  9000\nagentgw: it does not fit. {ContextOverflow.remedy}\n"
        assert cli("run", "--dry-run", "hi") == (7, "", told)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (-32001, 1),
        (-32003, 75),
        (-32004, 75),
        (-32005, 7),
        (-32006, 4),
        (-32007, 1),
        (-32011, 75),
        (-32602, 2),
        (-32015, 124),
    ],
)
def test_an_error_is_one_line_and_its_exit_status(cli: Cli, serve: Serve, code: int, status: int) -> None:
    serve({"turn.start": Failure(code, "it went wrong", hint="do this")})
    assert cli("run", "hi") == (status, "", "agentgw: it went wrong. do this\n")


def test_an_error_after_half_an_answer_keeps_the_half(cli: Cli, serve: Serve) -> None:
    def die(peer: Peer, params: dict[str, Any]) -> None:
        peer.delta("half\n")
        raise Failure(-32007, "the worker died")

    serve({"turn.start": die})
    assert cli("run", "hi") == (1, "half\n", f"agentgw: the worker died. {WorkerDied.remedy}\n")


@pytest.mark.parametrize(("reason", "status"), [("length", 0), ("cancelled", 130), ("iteration_limit", 8)])
def test_the_finish_reason_is_the_exit_status(cli: Cli, serve: Serve, reason: str, status: int) -> None:
    serve({"turn.start": {**RESULT, "finish_reason": reason}})
    assert cli("run", "hi")[0] == status


class TestCancelling:
    @pytest.fixture
    def slow(self, serve: Serve) -> FakeDaemon:
        return serve({"turn.start": until_cancelled})

    @staticmethod
    def start(*words: str, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "agentgw", "run", *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
        )  # fmt: skip

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_cancels_the_turn(self, slow: FakeDaemon, number: signal.Signals) -> None:
        with self.start("hi") as process:
            assert process.stdout is not None
            assert process.stdout.read(11) == b"half an ans"
            process.send_signal(number)
            out, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, out, err) == (130, b"\n", b"")
        assert slow.params("turn.cancel") == {"turn_id": "turn1"}

    def test_the_time_limit_cancels_the_turn(self, slow: FakeDaemon) -> None:
        with self.start("--timeout", "0.3", "hi") as process:
            out, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, out) == (124, b"half an ans\n")
        assert err == f"agentgw: no answer within 0.3 seconds. {Timeout.remedy}\n".encode()
        assert slow.params("turn.cancel") == {"turn_id": "turn1"}

    def test_a_signal_before_the_turn_began_just_ends(self, serve: Serve) -> None:
        asked = threading.Event()
        daemon = serve({"turn.start": lambda peer, params: asked.set() or peer.gone.wait(10)})
        with self.start("hi") as process:
            assert asked.wait(20)
            # The request is out; give the client the moment to wait for its answer.
            wait_until_sleeping(process.pid)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, out, err) == (130, b"", b"")
        assert "turn.cancel" not in daemon.methods()
        assert daemon.peers[0].gone.wait(10)

    def test_a_closed_stdout_cancels_the_turn(self, serve: Serve) -> None:
        """The client's side of leaving: nobody reads, so nobody wants more."""

        def endless(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            while not peer.cancelled.is_set() and not peer.gone.is_set():
                peer.delta("more and more\n")
            return {**RESULT, "finish_reason": "cancelled"}

        daemon = serve({"turn.start": endless})
        with self.start("hi") as process:
            assert process.stdout is not None
            process.stdout.read(10)
            process.stdout.close()
            assert process.stderr is not None
            assert process.stderr.read() == b""
            assert process.wait(PATIENCE_S) == 141
        assert daemon.params("turn.cancel") == {"turn_id": "turn1"}

    def test_a_daemon_that_ignores_the_cancel_is_left_soon(self, serve: Serve) -> None:
        def deaf(peer: Peer, params: dict[str, Any]) -> None:
            peer.delta("x")
            peer.gone.wait(20)

        serve({"turn.start": deaf, "turn.cancel": lambda peer, params: peer.gone.wait(20)})
        with self.start("hi") as process:
            assert process.stdout is not None
            process.stdout.read(1)
            process.send_signal(signal.SIGINT)
            watch = Stopwatch()
            process.communicate(timeout=PATIENCE_S)
            assert watch.seconds() < 6
        assert process.returncode == 130


def wait_until_sleeping(pid: int) -> None:
    """Returns when the process waits for something."""
    give_up_at = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
        assert time.monotonic() < give_up_at
        time.sleep(0.001)


def writes_of(command: list[str]) -> list[bytes]:
    """The writes of a command, one by one: a packet pipe keeps them apart."""
    reading, writing = os.pipe2(os.O_DIRECT)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writing):
        os.close(writing)
        made = list(iter(lambda: os.read(reading, 65536), b""))
    os.close(reading)
    return made


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has pipes of packets")
class TestWritesIntoAPipe:
    COMMAND: ClassVar = [sys.executable, "-m", "agentgw", "run", "hi"]

    def test_a_short_answer_is_one_write(self, serve: Serve) -> None:
        def short(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            for part in ("one ", "two\n", "three", "\n\n"):
                peer.delta(part)
            return RESULT

        serve({"turn.start": short})
        assert writes_of(self.COMMAND) == [b"one two\nthree\n"]

    def test_a_pause_lets_out_what_there_is(self, serve: Serve) -> None:
        go_on = threading.Event()

        def slow(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            peer.delta("first")
            assert go_on.wait(30)
            peer.delta(" second")
            return RESULT

        serve({"turn.start": slow})
        with subprocess.Popen(self.COMMAND, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0) as child:
            assert child.stdout is not None
            assert child.stdout.read(5) == b"first"
            go_on.set()
            assert child.stdout.read(100) == b" second\n"

    def test_the_time_limit_lets_out_what_there_is(self, serve: Serve) -> None:
        serve({"turn.start": until_cancelled})
        done = subprocess.run([*self.COMMAND, "--timeout", "0.5"], capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.stdout == "half an ans\n"
        assert done.stderr == f"agentgw: no answer within 0.5 seconds. {Timeout.remedy}\n"
        assert done.returncode == 124

    def test_a_long_answer_goes_out_as_it_comes(self, serve: Serve) -> None:
        def long(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            for _ in range(3):
                peer.delta("x" * 4000)
            return RESULT

        serve({"turn.start": long})
        made = writes_of(self.COMMAND)
        assert len(made) > 1
        assert b"".join(made) == b"x" * 12000 + b"\n"


def test_a_long_answer_goes_whole_through_a_pipe_with_a_slow_reader(serve: Serve) -> None:
    """A half-closed connection, from the command line: `printf … | agentgw run | cat`."""

    def long(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        for number in range(20_000):
            peer.delta(f"{number} ")
        return RESULT

    serve({"turn.start": long})
    command = f"printf hi | {sys.executable} -m agentgw run | (sleep 0.2; cat)"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout.split() == [str(number) for number in range(20_000)]
    assert done.stderr == ""


class TestOnATerminal:
    Start = Callable[..., Terminal]

    def test_progress_is_shown_and_erased_before_the_answer(self, terminal: Start, serve: Serve) -> None:
        def slow(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            peer.notify("turn.progress", phase="loading", done=1, total=2)
            peer.notify("turn.progress", phase="prefill", done=3, total=4)
            peer.delta("yes")
            return RESULT

        serve({"turn.start": slow})
        shown = terminal("run", "hi")
        assert shown.end() == 0
        assert "\rloading the model 50%" in shown.text
        assert "\rreading the prompt 75%" in shown.text
        assert shown.text.endswith("\ryes\n")
        assert "\x1b" not in shown.text
        quiet = terminal("run", "-q", "hi")
        assert quiet.end() == 0
        assert quiet.text == "yes\n"

    def test_sources_stand_under_the_answer_for_whoever_reads_it(
        self, terminal: Start, agentgw: Run, serve: Serve
    ) -> None:
        chunks = [
            {"source": "/notes/a.md", "lines": [3, 9], "title_path": "Boats > Hulls"},
            {"source": "/notes/b\x1b[2J.txt", "lines": [1, 1], "title_path": ""},
        ]
        serve({"turn.start": lambda peer, params: peer.delta("Long.") or {**RESULT, "sources": chunks}})
        shown = terminal("run", "hi")
        assert shown.end() == 0
        assert shown.text == (
            "Long.\nagentgw: [1] /notes/a.md:3-9 Boats > Hulls\nagentgw: [2] /notes/b\\x1b[2J.txt:1\n"
        )
        piped = agentgw("run", "hi")
        assert (piped.stdout, piped.stderr) == ("Long.\n", ""), "there they are in --json"

    def test_hostile_text_of_a_model_is_shown_and_does_nothing(self, terminal: Start, serve: Serve) -> None:
        """A terminal escape in an answer."""
        serve({"turn.start": lambda peer, params: peer.delta("a\x1b]0;owned\x07b\u202e") or RESULT})
        shown = terminal("run", "hi")
        assert shown.end() == 0
        assert shown.text == "a\\x1b]0;owned\\x07b\\u202e\n"

    def starter(self, serve: Serve) -> FakeDaemon:
        """A daemon without a model, until one is pulled."""
        pulled = threading.Event()

        def start(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            if not pulled.is_set():
                raise Failure(
                    -32006, "there is no model", hint="run: agentgw pull smollm2:135m", suggestion="smollm2:135m"
                )
            return echo(peer, params)

        def pull(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            peer.notify("model.progress", model=params["model"], done_bytes=98_362_432, total_bytes=98_362_432)
            pulled.set()
            return {"name": "smollm2:135m"}

        models = [{
            "name": "smollm2:135m", "state": "not_pulled", "source": "index", "size_bytes": 98_362_432,
            "licence": "Apache-2.0", "description": "SmolLM2-135M-Instruct",
        }]  # fmt: skip
        return serve({"turn.start": start, "model.pull": pull, "model.list": {"models": models}})

    def test_without_a_model_it_offers_the_starter_and_goes_on(self, terminal: Start, serve: Serve) -> None:
        daemon = self.starter(serve)
        shown = terminal("run", "hello")
        shown.wait_for("Pull smollm2:135m (SmolLM2-135M-Instruct, 98 MB, Apache-2.0)? [Y/n] ")
        shown.type("\n")
        assert shown.end() == 0
        assert "smollm2:135m 100%" in shown.text
        assert shown.text.endswith("hello\n")
        assert daemon.params("model.pull") == {"model": "smollm2:135m"}

    def choice(self, serve: Serve, recommended: dict[str, Any] | Failure) -> FakeDaemon:
        """A daemon without a model, which can rank those of its catalogue."""

        def start(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            if not pulled:
                raise Failure(-32006, "there is no model yet", reason="no model", suggestion="smollm2:135m")
            return echo(peer, params)

        def pull(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            pulled.append(params["model"])
            return {"name": params["model"]}

        pulled: list[str] = []
        answers = {"turn.start": start, "model.pull": pull, "model.list": {"models": []}}
        return serve({**answers, "model.recommend": recommended})

    @pytest.mark.parametrize(
        ("typed", "name"),
        [("\n", "smollm2:135m"), ("1\n", "smollm2:135m"), ("y\n", "smollm2:135m"), ("2\n", "hf:o/r:Q4_0")],
    )
    def test_on_a_first_run_the_best_is_offered_beside_the_starter(
        self, terminal: Start, serve: Serve, typed: str, name: str
    ) -> None:
        daemon = self.choice(serve, RANKED)
        shown = terminal("run", "hello")
        shown.wait_for("There is no model yet. Pull one of these? [1/2/n] ")
        assert "agentgw: 1. smollm2:135m: 98 MB, Apache-2.0, for first steps\n" in shown.text
        assert "agentgw: 2. hf:o/r:Q4_0: 5.0 GB, mit, about 8 tokens/s here, for a day's work\n" in shown.text
        shown.type(typed)
        assert shown.end() == 0
        assert daemon.params("model.pull") == {"model": name}
        assert shown.text.endswith("hello\n")

    @pytest.mark.parametrize("typed", ["n\n", "3\n", "both\n"])
    def test_on_a_first_run_any_other_answer_pulls_nothing(self, terminal: Start, serve: Serve, typed: str) -> None:
        daemon = self.choice(serve, RANKED)
        shown = terminal("run", "hello")
        shown.wait_for("[1/2/n] ")
        shown.type(typed)
        assert shown.end() == 4
        assert "model.pull" not in daemon.methods()

    @pytest.mark.parametrize(
        "recommended",
        [Failure(-32601, "there is no method model.recommend"), {key: RANKED[key] for key in RANKED if key != "best"}],
        ids=["an older daemon", "nothing fits"],
    )
    def test_on_a_first_run_without_a_choice_the_starter_is_offered(
        self, terminal: Start, serve: Serve, recommended: dict[str, Any] | Failure
    ) -> None:
        daemon = self.choice(serve, recommended)
        shown = terminal("run", "hello")
        shown.wait_for("Pull smollm2:135m? [Y/n] ")
        shown.type("\n")
        assert shown.end() == 0
        assert daemon.params("model.pull") == {"model": "smollm2:135m"}

    def test_a_no_is_exit_4_with_the_command(self, terminal: Start, serve: Serve) -> None:
        daemon = self.starter(serve)
        shown = terminal("run", "hello")
        shown.wait_for("[Y/n] ")
        shown.type("n\n")
        assert shown.end() == 4
        assert "agentgw: there is no model. run: agentgw pull smollm2:135m\n" in shown.text
        assert "model.pull" not in daemon.methods()

    def test_a_pipe_is_not_asked(self, agentgw: Run, serve: Serve) -> None:
        self.starter(serve)
        done = agentgw("run", "hello")
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr == "agentgw: there is no model. run: agentgw pull smollm2:135m\n"


def test_a_turn_asks_for_a_warm_worker(paths: Any, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    asked: list[bool] = []
    monkeypatch.setattr("agentgw.cli.commands.connect_client", lambda paths, *, warm, **_: asked.append(warm) or 1 / 0)
    cli("run", "hi")
    cli("sessions", "list")
    assert asked == [True, False]


@pytest.mark.parametrize("words", [("-m", ""), ("-s", "")])
def test_an_empty_name_is_not_the_default_one(cli: Cli, serve: Serve, words: tuple[str, str]) -> None:
    daemon = serve()
    status, out, err = cli("run", *words, "hi")
    assert (status, out, "name is empty" in err) == (2, "", True)
    assert "turn.start" not in daemon.methods()
