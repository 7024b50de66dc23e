"""Standard input and files: what is read of them, and that nobody waits without a word or without end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw.cli import output
from agentgw.cli.input import intake
from agentgw.protocol.errors import Timeout, UsageError
from tests.client.commandline import Run
from tests.client.fakedaemon import FakeDaemon, Peer, Serve
from tests.patience import PATIENCE_S


@pytest.fixture
def daemon(serve: Serve) -> FakeDaemon:
    def echo(peer: Peer, params: dict[str, object]) -> dict[str, object]:
        peer.delta(str(params["message"]))
        return {"text": str(params["message"]), "finish_reason": "stop"}

    return serve({"turn.start": echo})


@pytest.fixture
def endless() -> Iterator[int]:
    """The reading end of a pipe that nobody closes."""
    reading, writing = os.pipe()
    yield reading
    os.close(reading)
    os.close(writing)


def start(*words: str, stdin: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "agentgw", *words]
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("words", [["hello"], ["-"], ["-f", "-", "hello"]])
def test_the_time_limit_covers_an_input_that_nobody_closes(daemon: FakeDaemon, endless: int, words: list[str]) -> None:
    with start("run", "--timeout", "0.3", *words, stdin=endless) as child:
        assert child.communicate(timeout=PATIENCE_S) == (
            "",
            f"agentgw: no answer within 0.3 seconds. {Timeout.remedy}\n",
        )
    assert child.returncode == 124


@pytest.mark.parametrize("words", [["run", "hello"], ["ingest"], ["search", "-"]])
def test_a_wait_for_the_end_of_the_input_is_told(daemon: FakeDaemon, words: list[str]) -> None:
    reading, writing = os.pipe()
    with start(*words, stdin=reading) as child:
        os.close(reading)
        assert child.stderr is not None
        assert child.stderr.readline() == "agentgw: reading standard input, which has not ended yet\n"
        os.close(writing)
        child.communicate(timeout=PATIENCE_S)


def test_quiet_says_nothing_of_the_wait(daemon: FakeDaemon, endless: int) -> None:
    with start("run", "-q", "--timeout", "1.5", "hi", stdin=endless) as child:
        assert child.communicate(timeout=PATIENCE_S) == (
            "",
            f"agentgw: no answer within 1.5 seconds. {Timeout.remedy}\n",
        )


@pytest.mark.parametrize("said", ["", "\n", " \t\n\n", "\ufeff", "\ufeff\n"])
def test_blank_input_is_no_message(agentgw: Run, daemon: FakeDaemon, said: str) -> None:
    done = agentgw("run", stdin=said)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'agentgw: there is no message. try: agentgw run "why is the sky blue?"\n'


def test_a_byte_order_mark_is_no_part_of_the_text(agentgw: Run, daemon: FakeDaemon, tmp_path: Path) -> None:
    assert agentgw("run", stdin="\ufeffhello").stdout == "hello\n"
    (tmp_path / "marked").write_text("\ufefftext\ufeff")
    agentgw("run", "-f", str(tmp_path / "marked"), "look")
    assert daemon.params("turn.start")["files"][0]["text"] == "text\ufeff"


def test_a_file_whose_name_is_not_utf_8_is_read_and_named_as_far_as_it_is_text(
    agentgw: Run, daemon: FakeDaemon, tmp_path: Path
) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.txt"
    Path(os.fsdecode(path)).write_text("inside")
    assert agentgw("run", "-f", os.fsdecode(path), "look").returncode == 0
    assert daemon.params("turn.start")["files"] == [{"name": f"{tmp_path}/\ufffd.txt", "text": "inside"}]


HELP = "see agentgw run --help"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["\udcff"], "message is not UTF-8 text. convert or rename it"),
        (["-s", "\udcff", "hi"], "skill is not UTF-8 text. convert or rename it"),
        (["-m", "/\udcff.GGUF", "hi"], "model is not UTF-8 text. convert or rename it"),
        (["-f", "/\udcff", "hi"], f"/\ufffd cannot be read: No such file or directory. {HELP}"),
        (["-o", "seed=99999999999999999999", "hi"], f"options.seed does not fit 64 bits. {HELP}"),
        (["-o", "temperature=nan", "hi"], f"options.temperature is a number that JSON does not have. {HELP}"),
        (["--schema", '{"maximum": 99999999999999999999}', "hi"], f"schema.maximum does not fit 64 bits. {HELP}"),
        (["--schema", '{"items": [{"minimum": 1e999}]}', "hi"],
         f"schema.items.0.minimum is a number that JSON does not have. {HELP}"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_named(agentgw: Run, daemon: FakeDaemon, words: list[str], said: str) -> None:
    done = agentgw("run", *words)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"agentgw: {said}\n")


def test_a_directory_whose_name_is_not_utf_8_is_told_and_not_sent_as_another(
    agentgw: Run, daemon: FakeDaemon, tmp_path: Path
) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    environ = {**os.environ, "PYTHONPATH": str(Path(intake.__file__).parents[3])}
    done = agentgw("run", "hi", cwd=folder, env=environ)
    assert done.stdout == "hi\n"
    assert "tools work in your home directory" in done.stderr
    assert "cwd" not in daemon.params("turn.start")


def test_a_path_with_nul_is_one_line() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        intake.file_text("a\0b")


@pytest.mark.parametrize(
    "words",
    [["run", "hi"], ["run", "--json", "hi"], ["run", "--help"], ["--help"], ["--version"], ["call", "ping"],
     ["config", "path"], ["skills", "--help"]],
)  # fmt: skip
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
def test_a_full_disk_behind_stdout_is_one_line_and_exit_1(daemon: FakeDaemon, words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "agentgw", *words], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
            text=True, timeout=PATIENCE_S,
        )  # fmt: skip
    assert done.returncode == 1
    assert (
        done.stderr
        == f"agentgw: standard output cannot be written: No space left on device. {output.OutputLost.remedy}\n"
    )


@pytest.mark.parametrize(
    ("redirections", "status", "out", "err"),
    [
        (">&-", 1, "", f"agentgw: standard output is closed. {output.OutputLost.remedy}\n"),
        ("2>&-", 0, "hi\n", ""), ("<&-", 0, "hi\n", ""),
        ("<&- >&- 2>&-", 1, "", ""), ("2>/dev/full", 0, "hi\n", ""),
    ],
)  # fmt: skip
def test_streams_that_are_closed_or_full_change_nothing_but_themselves(
    daemon: FakeDaemon, redirections: str, status: int, out: str, err: str
) -> None:
    command = f"exec {sys.executable} -m agentgw run hi {redirections}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout, done.stderr) == (status, out, err)


def test_a_closed_stdout_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(output.OutputLost):
        output.line("x")
    output.flush()
