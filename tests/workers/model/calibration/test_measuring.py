"""Measuring on a model of one layer: what is asked for is measured, any command ends it, nothing stays behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentgw.protocol.tuning import UNDECIDED, Tuning
from agentgw_daemon.workers.llama import llama
from agentgw_daemon.workers.model.calibration import measuring
from agentgw_daemon.workers.model.calibration.interruption import Interruption
from agentgw_daemon.workers.model.calibration.measuring import (
    LEAST_AVAILABLE_BYTES,
    LEAST_PROMPT_TOKENS,
    Bench,
    Calibration,
)
from agentgw_daemon.workers.model.calibration.search import Cores
from agentgw_daemon.workers.model.cancellation import Flag
from agentgw_daemon.workers.model.sampling.context import Context
from tests.workers.llama.tinygguf import chain_model
from tests.workers.model.tunings import tuning

CORES = Cores(physical=2, logical=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[llama.LlamaModel]:
    made = llama.LlamaModel(str(chain_model(tmp_path_factory.mktemp("models") / "chain.gguf", ["a", "b"])))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that does nothing else and has memory."""
    monkeypatch.setattr(measuring, "preemptions", lambda: 0)
    monkeypatch.setattr(measuring, "available_bytes", lambda: LEAST_AVAILABLE_BYTES)


@pytest.fixture
def contexts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The handles of the contexts that are open."""
    alive: list[int] = []
    init, close = Context.__init__, Context.close

    def opened(self: Context, *arguments: object, **options: object) -> None:
        init(self, *arguments, **options)  # type: ignore[arg-type]  # handed on
        alive.append(id(self))

    def closed(self: Context) -> None:
        close(self)
        alive.remove(id(self))

    monkeypatch.setattr(Context, "__init__", opened)
    monkeypatch.setattr(Context, "close", closed)
    return alive


class Impatient(Interruption):
    """A user who comes during the batch of this number."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def begin(self, abort: Flag) -> None:
        self.left -= 1
        if self.left == 0:
            self.come()
        super().begin(abort)


def calibration(
    model: llama.LlamaModel, interruption: Interruption | None = None, asked: Tuning = UNDECIDED, slots: int = 1
) -> Calibration:
    interruption = interruption or Interruption()
    return Calibration(model, interruption, asked=asked, cores=CORES, slots=slots, after_s=0)


def test_everything_that_is_open_is_measured_and_freed(model: llama.LlamaModel, contexts: list[int]) -> None:
    made = calibration(model, slots=3)
    best = made.run()
    assert best is not None
    assert best.attention in ("flash", "plain")
    assert contexts == []
    measured = made.measured
    assert {one.streams for one in measured} == {0, 1, 3}
    assert {one.attention for one in measured} == {"flash", "plain"}
    assert {one.threads for one in measured} == {1, 2}
    assert all(one.tokens_per_s > 0 for one in measured)


def test_what_is_asked_for_is_left_alone(model: llama.LlamaModel) -> None:
    asked = tuning(attention="plain", threads=1, threads_batch=1)
    made = calibration(model, asked=asked)
    best = made.run()
    assert best is not None
    assert (best.attention, best.threads, best.threads_batch) == ("plain", 1, 1)
    assert {(one.attention, one.threads, one.streams) for one in made.measured} == {("plain", 1, 0)}


@pytest.mark.parametrize("at", [1, 2, 3, 8, 20, 40])
def test_a_command_ends_it_at_once_and_it_goes_on_where_it_was(
    model: llama.LlamaModel, contexts: list[int], at: int, capfd: pytest.CaptureFixture[str]
) -> None:
    interruption = Impatient(at)
    made = calibration(model, interruption, slots=2)
    assert made.run() is None
    assert contexts == []
    assert interruption.left == 0, "no batch is begun after it"
    before = made.measured
    assert made.run() is None, "whoever came has not been heard yet"
    interruption.forget()
    assert made.run() is not None
    assert made.measured[: len(before)] == before
    assert capfd.readouterr().err == "", "an abort is no error to log"


def test_no_figure_is_kept_that_was_taken_while_others_had_the_cores(
    model: llama.LlamaModel, contexts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter(range(0, 10**6, 1000))
    monkeypatch.setattr(measuring, "preemptions", lambda: next(counts))
    monkeypatch.setattr(measuring, "LEAST_SHARE", 1000)
    made = calibration(model)
    assert made.run() is None
    assert (made.measured, contexts) == ((), [])
    monkeypatch.setattr(measuring, "preemptions", lambda: 0)
    assert made.run() is not None


@pytest.mark.parametrize(
    ("times", "cpu_s", "spoilt"),
    [(40, 2.0, False), (3, 0.9, False), (103, 0.54, True), (70, 1.5, True), (0, 0.0, False)],
)
def test_a_figure_is_spoilt_when_others_took_cores_and_much_of_their_time(
    times: int, cpu_s: float, spoilt: bool
) -> None:
    assert measuring.disturbed(times, wall_s=1.0, cpu_s=cpu_s, threads=2) is spoilt


def test_nothing_is_measured_where_memory_is_short(model: llama.LlamaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "available_bytes", lambda: LEAST_AVAILABLE_BYTES - 1)
    assert calibration(model).run() is None


def test_a_setting_that_does_not_work_is_a_figure_of_zero(
    model: llama.LlamaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    init = Bench.__init__

    def refuse(
        self: Bench, model: llama.LlamaModel, interruption: Interruption, tuning: Tuning, **options: int
    ) -> None:
        if tuning.attention == "flash":
            raise llama.EngineError("no such kernel")
        init(self, model, interruption, tuning, **options)

    monkeypatch.setattr(Bench, "__init__", refuse)
    made = calibration(model)
    best = made.run()
    assert best is not None
    assert best.attention == "plain"
    assert made.measured[0].tokens_per_s == 0


def test_streams_decode_with_the_prompt_before_them_and_leave_it(model: llama.LlamaModel) -> None:
    tuning = Tuning(attention="flash", threads=1, threads_batch=1, batch_tokens=32)
    bench = Bench(model, Interruption(), tuning, n_tokens=LEAST_PROMPT_TOKENS, slots=2)
    bench.have(LEAST_PROMPT_TOKENS)
    for streams in (1, 2, 1):
        assert bench.step_s(streams, LEAST_PROMPT_TOKENS) > 0
    bench.close()
