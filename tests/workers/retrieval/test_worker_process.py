"""The retrieval worker as a process: how it starts, what it refuses, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw import __version__
from agentgw_daemon.workers.protocol import codec
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.retrieval.embedding.embedder_info import of_folder
from tests.ending import ends_within
from tests.patience import PATIENCE_S
from tests.workers.retrieval.embedding.tinybert import MAX_TOKENS, WIDTH, make_folder

COMMAND = (sys.executable, "-P", "-m", "agentgw_daemon.workers.retrieval.worker")


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> wire.Embedder:
    folder = make_folder(tmp_path_factory.mktemp("tiny") / "model")
    conversion = folder.parent / "conversion.gguf"
    assert of_folder(folder, conversion).has_conversion
    return wire.Embedder(name="t", id="1", dim=WIDTH, max_tokens=MAX_TOKENS, gguf=str(conversion), bert_words=True)


class Live:
    """One worker, and lines to and from it."""

    def __init__(self, role: str) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen([*COMMAND, role], **pipes)  # type: ignore[call-overload]  # three of a kind
        self.pid: int = self.process.pid

    def send(self, *lines: bytes) -> None:
        self.process.stdin.write(b"".join(lines))
        self.process.stdin.flush()

    def receive(self) -> tuple[int, codec.WireMessage]:
        return codec.decode(self.process.stdout.readline())

    def close(self) -> int:
        self.process.stdin.close()
        return int(self.process.wait(PATIENCE_S))


@pytest.fixture(params=wire.ROLES)
def live(request: pytest.FixtureRequest) -> Iterator[Live]:
    made = Live(request.param)
    yield made
    made.process.kill()
    with made.process:
        made.process.wait(PATIENCE_S)


def test_it_says_who_it_is_and_ends_with_its_input(live: Live) -> None:
    request_id, ready = live.receive()
    assert request_id == 0
    assert isinstance(ready, wire.Ready)
    assert (ready.version, ready.pid) == (__version__, live.pid)
    assert live.close() == 0


def test_the_end_of_its_input_ends_it_before_it_is_ready(live: Live) -> None:
    assert live.close() == 0


def test_an_interrupt_meant_for_the_terminal_changes_nothing(live: Live) -> None:
    live.receive()
    os.kill(live.pid, signal.SIGINT)
    live.send(codec.encode(1, wire.Warmed()))
    assert live.process.wait(PATIENCE_S) == 70


@pytest.mark.parametrize("line", [b"hello\n", codec.encode(0, wire.Ready(version="1", pid=1, role="read"))])
def test_a_line_that_is_no_request_ends_it_with_a_reason(live: Live, line: bytes) -> None:
    live.receive()
    live.send(line)
    assert live.process.wait(PATIENCE_S) == 70
    assert b"WireError" in live.process.stderr.read()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_leaves_no_core_and_no_readable_files(live: Live) -> None:
    live.receive()
    assert "Umask:\t0077" in Path(f"/proc/{live.pid}/status").read_text()
    assert "Max core file size        0                    0" in Path(f"/proc/{live.pid}/limits").read_text()


def test_what_a_role_does_not_answer_is_refused_and_it_stays(live: Live, embedder: wire.Embedder) -> None:
    live.receive()
    texts = wire.Embed(embedder=embedder, texts=("hello",))
    document = wire.Read(
        text="hello world, again", embedder=embedder, chunk_tokens=64, overlap_tokens=0, max_bytes=1 << 20,
        max_chunks=10,
    )  # fmt: skip
    live.send(codec.encode(1, texts), codec.encode(2, document))
    answers: dict[int, codec.WireMessage] = {}
    while len(answers) < 2:
        request_id, message = live.receive()
        if request_id and not isinstance(message, wire.Pieces):
            answers[request_id] = message
    refused = [message for message in answers.values() if isinstance(message, wire.Failed)]
    assert [one.kind for one in refused] == ["invalid"]
    assert "does not answer" in refused[0].message
    assert live.close() == 0


PARENT = """
import subprocess, sys
command = [sys.executable, "-P", "-m", "agentgw_daemon.workers.retrieval.worker", sys.argv[1]]
child = subprocess.Popen(command, stdin=-1, stdout=-1)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="waits by pidfd")
@pytest.mark.parametrize("role", wire.ROLES)
def test_a_killed_parent_leaves_no_worker(role: str) -> None:
    command = [sys.executable, "-c", PARENT, role]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        assert ends_within(pid, PATIENCE_S)
