"""`agentgw map` with the real daemon and the echo model, in real pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.home import AGENTGW, Home
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.e2e
MAP = f"{AGENTGW} map -m echo"


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with Home() as made:
        yield made


def bash(home: Home, script: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", script],
        env=home.environ,
        cwd=home.work,
        capture_output=True,
        timeout=PATIENCE_S,
    )


def test_it_is_a_filter_in_a_pipe(home: Home) -> None:
    done = bash(home, f"printf 'a\\nb\\r\\n\\nc' | {MAP} 'Q {{}}' | tr a-z A-Z")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"Q A\nQ B\n\nQ C\n", b"")


def test_a_reader_of_one_line_ends_input_without_end(home: Home) -> None:
    done = bash(home, f"yes x | {MAP} 'Q {{}}' | head -1; echo ${{PIPESTATUS[1]}}")
    assert done.stdout == b"Q x\n141\n"


def test_a_record_of_a_blank_message_costs_the_others_nothing(home: Home) -> None:
    records = '{"a": "x"}\\n{"a": ""}\\n{"a": "y"}\\n'
    done = bash(home, f"printf '{records}' | {MAP} --jsonl '{{a}}'")
    assert done.returncode == 1
    assert [json.loads(line)["answer"] for line in done.stdout.splitlines()] == ["x", None, "y"]
    assert b"record 2: there is no message" in done.stderr


def test_binary_junk_fails_line_by_line_and_ends(home: Home) -> None:
    junk = bytes(range(256)) * 8
    (home.work / "junk").write_bytes(junk)
    done = bash(home, f"{MAP} 'Q {{}}' < junk")
    assert done.returncode == 1
    assert done.stdout.count(b"\n") == junk.count(b"\n") + 1
    assert done.stderr.count(b"is not UTF-8 text") == 8


def test_a_kill_costs_no_answer_and_asks_nothing_twice(home: Home) -> None:
    numbers = home.work / "numbers"
    numbers.write_text("".join(f"{number}\n" for number in range(300)))
    journal, command = home.work / "journal", [AGENTGW, "map", "-m", "echo", "--resume", "journal", "Q {}"]
    with open(numbers, "rb") as lines:
        child = subprocess.Popen(command, env=home.environ, cwd=home.work, stdin=lines, stdout=subprocess.PIPE)
    assert child.stdout is not None
    # Some are answered and others in flight.
    for _ in range(20):
        child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    kept = journal.read_bytes().count(b"\n")
    assert 20 < kept < 300
    done = bash(home, f"{MAP} --resume journal 'Q {{}}' < numbers")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "".join(f"Q {number}\n" for number in range(300))
    # One line for the terms and one for each record: none was asked about twice.
    assert journal.read_bytes().count(b"\n") == 301


def test_a_model_that_is_missing_is_exit_4_with_the_way_to_it(home: Home) -> None:
    done = bash(home, f"echo a | {AGENTGW} map 'Q {{}}'")
    assert (done.returncode, done.stdout) == (4, b"")
    assert b"agentgw pull" in done.stderr


def test_a_daemon_that_is_killed_is_replaced_in_the_middle(home: Home) -> None:
    home.run("start")
    command = [AGENTGW, "map", "-m", "echo", "Q {}"]
    child = subprocess.Popen(
        command, env=home.environ, cwd=home.work, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(b"a\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"Q a\n"
    home.kill_daemon()
    out, err = child.communicate(b"b\nc\n", timeout=PATIENCE_S)
    assert (child.returncode, out) == (0, b"Q b\nQ c\n")
    assert b"going on with the next one" in err
