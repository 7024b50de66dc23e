"""The worker as a process: how it starts, what it says, how it ends. The last part asks the starter model."""

from __future__ import annotations

import os
import queue
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agentgw import __version__
from agentgw.protocol.tuning import Measurement, Tuning
from agentgw_daemon.workers.llama.llama import EngineError
from agentgw_daemon.workers.model import worker as worker_module
from agentgw_daemon.workers.model.calibration.interruption import Interruption
from agentgw_daemon.workers.model.cancellation import Cancellations
from agentgw_daemon.workers.protocol import model as wire
from tests.ending import ends_within
from tests.starter import starter_model
from tests.workers.llama.tinygguf import chain_model
from tests.workers.model.live import LiveWorker, ask
from tests.workers.model.tunings import ONE_THREAD

SCRIPT: list[bytes | str] = ["a", "b", "c"]


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that never stops answering, and takes seconds to read 30,000 tokens."""
    path = tmp_path_factory.mktemp("models") / "endless.gguf"
    return chain_model(path, SCRIPT, endless=True, n_ctx_train=1 << 17, n_ff=8192)


def test_it_says_who_it_is() -> None:
    worker = LiveWorker()
    ready = worker.expect(wire.ModelWorkerReady)
    assert (ready.version, ready.pid) == (__version__, worker.pid)
    assert ready.engine.startswith("llama.cpp (llama-cpp-python ")
    assert worker.close() == 0
    worker.__exit__(None, None, None)


@pytest.mark.parametrize("moment", ["before it is ready", "idle", "prefill", "decode"])
def test_the_end_of_its_input_ends_it(moment: str, endless: Path) -> None:
    worker = LiveWorker()
    if moment != "before it is ready":
        worker.expect(wire.ModelWorkerReady)
        worker.load(endless, n_ctx_tokens=1 << 17)
    if moment == "prefill":
        worker.send(ask(1, "x" * 30_000))
        worker.expect(wire.Prefilled)
    if moment == "decode":
        worker.send(ask(1))
        worker.expect(wire.Prefilled)
        worker.expect(wire.GenerationDelta)
    assert worker.close() == 0
    worker.__exit__(None, None, None)


PARENT = """
import subprocess, sys
from agentgw_daemon.workers.protocol import model as wire
from tests.workers.model.tunings import ONE_THREAD
child = subprocess.Popen([sys.executable, "-m", "agentgw_daemon.workers.model.worker"], stdin=-1, stdout=-1)
child.stdin.write(wire.encode(wire.Load(path=sys.argv[1], tuning=ONE_THREAD)))
child.stdin.write(wire.encode(wire.Generate(request_id=1, messages=({"role": "user", "content": sys.argv[2]},))))
child.stdin.flush()
for line in child.stdout:
    if isinstance(wire.decode(line), wire.Prefilled):
        print(child.pid, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="waits by pidfd")
@pytest.mark.parametrize("text", ["hi", "x" * 8000], ids=["decode", "prefill"])
def test_a_killed_parent_leaves_no_worker(text: str, endless: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, endless, text], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        assert ends_within(pid, 2.0)


def test_counting_is_answered_while_another_request_decodes(endless: Path) -> None:
    with LiveWorker() as worker:
        worker.load(endless, n_ctx_tokens=1 << 17)
        worker.send(ask(1), wire.CountPrompt(request_id=2, messages=({"role": "user", "content": "hi"},)))
        while not isinstance(message := worker.receive(), wire.Counted):
            assert isinstance(message, wire.Prefilled | wire.GenerationDelta)
        worker.send(wire.CancelGeneration(request_id=1))
        *_, done = worker.until_end()
        assert isinstance(done, wire.GenerationDone)
        assert done.finish_reason == "cancelled"


def test_a_stream_that_nobody_reads_stops_no_other_and_can_be_cancelled(tmp_path: Path) -> None:
    with LiveWorker() as worker:
        worker.load(chain_model(tmp_path / "chain.gguf", SCRIPT, endless=True), slots=2)
        worker.reads = {2}
        worker.send(ask(1), ask(2, max_tokens=4 * wire.WINDOW_TEXTS))
        *messages, done = worker.until_end()
        assert isinstance(done, wire.GenerationDone)
        assert (done.request_id, done.completion_tokens) == (2, 4 * wire.WINDOW_TEXTS)
        unread = [
            text for m in messages if isinstance(m, wire.GenerationDelta) and m.request_id == 1 for text in m.texts
        ]
        assert len(unread) == wire.WINDOW_TEXTS
        worker.send(wire.CancelGeneration(request_id=1))
        assert worker.expect(wire.GenerationDone).finish_reason == "cancelled"


def test_it_ignores_an_interrupt_meant_for_the_terminal(tmp_path: Path) -> None:
    with LiveWorker() as worker:
        os.kill(worker.pid, signal.SIGINT)
        worker.load(chain_model(tmp_path / "chain.gguf", SCRIPT))
        assert worker.answer(ask(1))[0] == "abc"


@pytest.mark.parametrize("line", [b"hello\n", b'["Ready",{"version":"1","pid":1,"engine":"x"}]\n', b'["Cancel",{}]\n'])
def test_a_line_that_is_no_command_ends_it_with_a_reason(line: bytes) -> None:
    worker = LiveWorker()
    worker.expect(wire.ModelWorkerReady)
    worker.send_raw(line)
    assert worker.receive() is None
    assert "WireError" in worker.stderr()
    assert worker.wait() == 70
    worker.__exit__(None, None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_its_limits(tmp_path: Path) -> None:
    with LiveWorker() as worker:
        worker.load(chain_model(tmp_path / "chain.gguf", SCRIPT))
        status = Path(f"/proc/{worker.pid}/status").read_text()
        limits = Path(f"/proc/{worker.pid}/limits").read_text()
        assert "Umask:\t0077" in status
        assert "Max core file size        0                    0" in limits
        assert "Max address space         unlimited" in limits, "the template's limit is over"


def test_another_model_can_be_loaded_in_place_of_the_first(tmp_path: Path) -> None:
    with LiveWorker() as worker:
        for script in (["one"], ["two"]):
            worker.load(chain_model(tmp_path / f"{script[0]}.gguf", script))
            assert worker.answer(ask(1))[0] == script[0]


def test_measuring_stands_in_no_answers_way(tmp_path: Path) -> None:
    with LiveWorker() as worker:
        loaded = worker.load(chain_model(tmp_path / "chain.gguf", SCRIPT), calibrate_after_s=0)
        for number in range(5):
            assert worker.answer(ask(number))[0] == "abc"
        assert loaded.tuning.attention == "plain", "what is measured holds from the next load"


class Measuring:
    """A calibration that takes as long as it is told to, and what it was asked."""

    after_s = 0.0
    measured = (Measurement(attention="plain", threads=1, batch_tokens=0, streams=1, tokens_per_s=9.5),)

    def __init__(self, *results: Tuning | Exception | None, commands: queue.SimpleQueue[wire.ToWorker]) -> None:
        self.results = list(results)
        self.commands = commands

    def run(self) -> Tuning | None:
        result = self.results.pop(0)
        self.commands.put(wire.CancelGeneration(request_id=len(self.results)))
        if isinstance(result, Exception):
            raise result
        return result


@dataclass
class Heard:
    """A reader that has heard these commands."""

    commands: queue.SimpleQueue[wire.ToWorker]


class Leisurely:
    """The worker's waiting, with a calibration that gives these results, and what it said."""

    def __init__(self, *results: Tuning | Exception | None) -> None:
        self._read_fd, self._write_fd = os.pipe()
        self.commands: queue.SimpleQueue[wire.ToWorker] = queue.SimpleQueue()
        self.cancellations = Cancellations()
        self.idle_work = worker_module.IdleWork(
            worker_module.Outlet(self._write_fd), Heard(self.commands), Interruption(), self.cancellations
        )
        self.idle_work.calibration = self.measuring = Measuring(*results, commands=self.commands)
        self.idle_work.answered = True

    def __enter__(self) -> Leisurely:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._read_fd)
        os.close(self._write_fd)

    def said(self) -> list[wire.ModelWireMessage]:
        if not select.select([self._read_fd], [], [], 0)[0]:
            return []
        return [wire.decode(line) for line in os.read(self._read_fd, 1 << 16).splitlines()]


BEST = Tuning(attention="plain", threads=1, threads_batch=2, batch_tokens=512)


def test_what_was_measured_is_told_once_and_the_next_command_is_heard() -> None:
    with Leisurely(BEST) as one:
        assert one.idle_work.next_command() == wire.CancelGeneration(request_id=0)
        one.commands.put(wire.CancelGeneration(request_id=7))
        assert one.idle_work.next_command() == wire.CancelGeneration(request_id=7)
        (calibrated,) = one.said()
    assert isinstance(calibrated, wire.TuningFound)
    assert calibrated.tuning == BEST
    assert calibrated.measured[0].tokens_per_s == 9.5


def test_measuring_that_was_interrupted_goes_on_at_the_next_occasion() -> None:
    with Leisurely(None, None, BEST) as one:
        assert [one.idle_work.next_command() for _ in range(3)] == [
            wire.CancelGeneration(request_id=n) for n in (2, 1, 0)
        ]
        assert len(one.said()) == 1


def test_nothing_is_measured_before_the_first_answer_or_while_a_command_waits() -> None:
    with Leisurely(BEST) as one:
        one.idle_work.answered = False
        one.commands.put(wire.CancelGeneration(request_id=7))
        assert one.idle_work.next_command() == wire.CancelGeneration(request_id=7)
        one.idle_work.answered = True
        one.commands.put(wire.CancelGeneration(request_id=8))
        assert one.idle_work.next_command() == wire.CancelGeneration(request_id=8)
        assert one.measuring.results == [BEST]


def test_a_command_between_the_look_and_the_measuring_is_not_lost() -> None:
    class Late(queue.SimpleQueue):  # type: ignore[type-arg]  # not generic where it is subclassed
        """Seems empty once, and is not."""

        def get(self, block: bool = True, timeout: float | None = None) -> wire.ToWorker:
            if timeout is not None:
                raise queue.Empty
            return super().get()

    with Leisurely(BEST) as one:
        commands = Late()
        commands.put(wire.CancelGeneration(request_id=7))
        one.idle_work._commands = commands  # type: ignore[misc]  # the race cannot be had otherwise
        assert one.idle_work.next_command() == wire.CancelGeneration(request_id=7)
        assert one.measuring.results == [BEST]


def test_a_model_that_cannot_be_measured_is_not_tried_again(capfd: pytest.CaptureFixture[str]) -> None:
    with Leisurely(EngineError("no such kernel")) as one:
        one.idle_work.next_command()
        assert one.idle_work.calibration is None
        assert one.said() == []
    assert "cannot be measured: no such kernel" in capfd.readouterr().err


@pytest.fixture(scope="module")
def starter() -> Iterator[LiveWorker]:
    with LiveWorker() as worker:
        loaded = worker.load(starter_model(), n_ctx_tokens=2048)
        assert (loaded.template, loaded.n_ctx_tokens, loaded.n_ctx_train_tokens) == ("model", 2048, 8192)
        yield worker


# Its answer is certain at each word: the last bits of the arithmetic differ with the shape of a batch, and between two
# words that are about as likely they decide, on one processor this way and on another that way.
SURE = "What is the capital of France?"


@pytest.mark.e2e
class TestStarterModel:
    """Behaviour that only real weights show."""

    def test_it_answers_in_words(self, starter: LiveWorker) -> None:
        shown, done = starter.answer(ask(1, "Say hello in French, please.", max_tokens=8))
        assert shown.strip()
        assert shown.isprintable()
        assert 1 <= done.completion_tokens <= 8

    def test_the_same_seed_gives_the_same_text_after_other_conversations(self, starter: LiveWorker) -> None:
        def tell(seed: int) -> str:
            return starter.answer(ask(2, "Tell a story.", temperature=0.9, seed=seed, recompute=True, max_tokens=8))[0]

        first = tell(11)
        assert tell(12) != first
        assert tell(11) == first

    def test_a_reused_prefix_gives_the_same_answer_as_a_fresh_one(self, starter: LiveWorker) -> None:
        shown, done = starter.answer(ask(3, SURE, recompute=True, max_tokens=8))
        starter.answer(ask(4, SURE, max_tokens=8))
        again, cached = starter.answer(ask(7, SURE, max_tokens=8))
        assert again == shown
        assert (done.cached_tokens, cached.cached_tokens) == (0, cached.prompt_tokens - 1)

    def test_pauses_change_no_token_of_a_seeded_answer(self, starter: LiveWorker) -> None:
        tale = ask(10, "Tell a story. " * 40, temperature=0.9, seed=11, recompute=True, max_tokens=24)
        told, _ = starter.answer(tale)
        starter.send(tale)
        heard: list[str] = []
        paused = 0
        for message in starter.until_end():
            if isinstance(message, wire.GenerationDelta):
                heard += message.texts
            if isinstance(message, wire.GenerationDelta | wire.Prefilled):
                starter.send(wire.Pause(pause_id=paused), wire.Resume())
            paused += isinstance(message, wire.Paused)
        assert paused > 3
        assert "".join(heard) == told

    def test_a_penalty_changes_what_it_says(self, starter: LiveWorker) -> None:
        plain, _ = starter.answer(ask(5, "Repeat the word yes.", max_tokens=12))
        assert starter.answer(ask(6, "Repeat the word yes.", max_tokens=12, repeat_penalty=1.8))[0] != plain

    def test_cancel_within_a_piece_of_the_prompt_harms_no_key_or_value(self, starter: LiveWorker) -> None:
        long = ask(7, "word " * 400, recompute=True, max_tokens=0)
        starter.answer(long)
        shown, _ = starter.answer(ask(8, SURE, max_tokens=8))
        starter.send(long)
        starter.expect(wire.Prefilled)
        starter.send(wire.CancelGeneration(request_id=7))
        *later, done = starter.until_end()
        assert isinstance(done, wire.GenerationDone)
        assert (done.finish_reason, done.completion_tokens) == ("cancelled", 0)
        assert later == [], "the piece that was being computed was dropped"
        again, cached = starter.answer(ask(9, SURE, max_tokens=8))
        assert again == shown
        assert cached.cached_tokens > 0


def test_what_is_to_be_saved_is_written_before_it_ends(tmp_path: Path) -> None:
    path = chain_model(tmp_path / "endless.gguf", ["a", "b", "c"], endless=True)
    with LiveWorker() as worker:
        worker.send(wire.Load(path=str(path), tuning=ONE_THREAD, kv_dir=str(tmp_path / "kv"), kv_cache_bytes=1 << 30))
        worker.expect(wire.Loaded)
        worker.answer(ask(1, "z" * 200, max_tokens=2, cache_scope="s-1"))
        assert worker.close() == 0
    assert [file.suffix for file in (tmp_path / "kv").rglob("s-1*")] == [".kv"]
