from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agentgw.protocol.tuning import UNDECIDED, Measurement, Tuning
from agentgw_daemon.inference.hosting.tuning_store import (
    Basis,
    TuningStore,
    basis_of,
    described,
    in_force,
    load_message,
    tuned,
)
from agentgw_daemon.inference.spec import InferenceSettings
from agentgw_daemon.workers.protocol import model as wire

BEST = Tuning(attention="plain", threads=2, threads_batch=4, batch_tokens=512)
FIGURE = Measurement(attention="plain", threads=2, batch_tokens=0, streams=1, tokens_per_s=57.0)
MESSAGE = wire.TuningFound(tuning=BEST, measured=(FIGURE,))
LOADED = wire.Loaded(
    n_ctx_tokens=1, n_ctx_train_tokens=1, slots=1, description="", template="model", load_ms=1, tuning=BEST
)  # fmt: skip


@pytest.fixture
def basis(tmp_path: Path) -> Basis:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"weights")
    return basis_of(str(model), InferenceSettings(), "build 1")


@pytest.fixture
def tunings(tmp_path: Path) -> TuningStore:
    return TuningStore(tmp_path / "cache" / "tuning")


def test_what_is_kept_is_found_again_and_is_nobody_elses_business(
    tunings: TuningStore, basis: Basis, tmp_path: Path
) -> None:
    assert tunings.best(basis) is None
    tunings.keep(basis, MESSAGE)
    assert tunings.best(basis) == BEST
    found = tunings.of_file(basis.path)
    assert found is not None
    assert found.measured == (FIGURE,)
    (file,) = (tmp_path / "cache" / "tuning").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("change", [
    {"size_bytes": 8}, {"mtime_ns": 5}, {"build": "build 2"}, {"processor": "another"}, {"cpus": 99}, {"slots": 3},
    {"gpu_layers": 0}, {"asked": replace(UNDECIDED, attention="flash")}, {"asked": replace(UNDECIDED, threads=3)},
    {"asked": replace(UNDECIDED, batch_tokens=64)},
])  # fmt: skip
def test_it_counts_only_for_what_it_was_measured_with(
    tunings: TuningStore, basis: Basis, change: dict[str, object]
) -> None:
    tunings.keep(basis, MESSAGE)
    assert tunings.best(replace(basis, **change)) is None  # type: ignore[arg-type]  # by name
    assert tunings.of_file(basis.path) is not None


@pytest.mark.parametrize("harm", [
    lambda text: "", lambda text: text[:-20], lambda text: "[]", lambda text: text.replace("plain", "other"),
    lambda text: text.replace("512", "99999999"), lambda text: text.replace('"threads": 2', '"threads": "2"'),
])  # fmt: skip
def test_a_damaged_file_counts_as_none_and_is_replaced(
    tunings: TuningStore, basis: Basis, tmp_path: Path, harm
) -> None:
    tunings.keep(basis, MESSAGE)
    (file,) = (tmp_path / "cache" / "tuning").iterdir()
    whole = json.dumps(json.loads(file.read_text()))
    assert harm(whole) != whole
    file.write_text(harm(whole))
    assert tunings.best(basis) is None
    tunings.keep(basis, MESSAGE)
    assert tunings.best(basis) == BEST


def test_nonsense_from_a_worker_is_not_kept(
    tunings: TuningStore, basis: Basis, caplog: pytest.LogCaptureFixture
) -> None:
    tunings.keep(basis, replace(MESSAGE, tuning=replace(BEST, threads=-1)))
    tunings.keep(basis, replace(MESSAGE, measured=(replace(FIGURE, tokens_per_s="fast"),)))
    assert tunings.of_file(basis.path) is None
    assert caplog.text.count("makes no sense") == 2


def test_where_nothing_can_be_kept_the_log_says_so(
    basis: Basis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the directory should be")
    TuningStore(tmp_path / "cache" / "tuning").keep(basis, MESSAGE)
    assert "cannot be kept" in caplog.text


def test_the_worker_gets_what_is_best_or_the_wish_to_find_it() -> None:
    load = load_message("/m", 0, InferenceSettings(slots=4))
    best = tuned(load, BEST, calibrate_after_s=5)
    assert best.tuning == BEST
    assert best.calibrate_after_s < 0
    assert tuned(load, None, calibrate_after_s=5) == replace(load, calibrate_after_s=5)


def test_there_is_no_wish_where_settings_leave_nothing_open() -> None:
    settings = InferenceSettings(attention="flash", threads=2, batch_tokens=128)
    load = load_message("/m", 512, settings)
    assert load.tuning == Tuning(attention="flash", threads=2, threads_batch=2, batch_tokens=128)
    assert tuned(load, None, calibrate_after_s=5) == load


def test_how_a_worker_runs_in_words() -> None:
    assert in_force(LOADED) == BEST
    assert described(LOADED) == "attention plain, threads 2 to decode and 4 to read, batches of 512"
    gpu = replace(LOADED, tuning=replace(BEST, threads_batch=2), gpu_layers=-1, notice="something is wrong")
    assert described(gpu) == (
        "something is wrong; attention plain, threads 2, batches of 512; layers on the GPU: all that fit"
    )  # fmt: skip
    assert "layers on the GPU: 7" in described(replace(gpu, gpu_layers=7))
    silent = replace(LOADED, tuning=replace(BEST, threads=0))
    assert (in_force(silent), described(silent)) == (None, "")
