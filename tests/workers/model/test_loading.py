from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentgw.protocol.tuning import Tuning
from agentgw_daemon.workers.llama import gguf, llama
from agentgw_daemon.workers.llama.gguf_head import UnusableModelFile
from agentgw_daemon.workers.llama.llama import LlamaModel
from agentgw_daemon.workers.model import loading
from agentgw_daemon.workers.model.calibration.interruption import Interruption
from agentgw_daemon.workers.model.cancellation import Cancellations
from agentgw_daemon.workers.model.decoder import Decoder
from agentgw_daemon.workers.protocol import footprint
from agentgw_daemon.workers.protocol import model as wire
from tests.workers.llama.splitgguf import split, write
from tests.workers.llama.tinygguf import U32, chain_model, small
from tests.workers.model.tunings import tuning


def load(path: Path, **settings: Any) -> tuple[Decoder, wire.Loaded]:
    decoder, loaded, calibration = loading.load(
        wire.Load(path=str(path), **settings),
        emit=lambda message: None,
        cancellations=Cancellations(),
        interruption=Interruption(),
    )
    assert calibration is None, "nobody asked for one"
    return decoder, loaded


def test_loading_says_how_many_slots_there_are(tmp_path: Path) -> None:
    decoder, loaded = load(chain_model(tmp_path / "chain.gguf", ["x"]), slots=3, n_ctx_tokens=256)
    decoder.close()
    assert (loaded.slots, loaded.n_ctx_tokens) == (3, 256)


def test_a_model_whose_memory_cannot_be_shared_answers_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LlamaModel, "can_share", False)
    decoder, loaded = load(chain_model(tmp_path / "chain.gguf", ["x"]), slots=3)
    decoder.close()
    assert loaded.slots == 1


def test_what_is_in_force_is_told(tmp_path: Path) -> None:
    path = chain_model(tmp_path / "chain.gguf", ["x"])
    decoder, loaded = load(path, tuning=tuning(threads=1, threads_batch=2, batch_tokens=64, attention="plain"))
    decoder.close()
    assert loaded.tuning == Tuning(attention="plain", threads=1, threads_batch=2, batch_tokens=64)
    assert loaded.gpu_layers == 0
    assert loaded.notice == ""


def test_the_model_and_its_header_agree_on_what_a_token_takes(tmp_path: Path) -> None:
    path = chain_model(
        tmp_path / "model.gguf", ["x"], metadata={"llama.rope.scaling.original_context_length": (U32, 9)}
    )
    model = llama.LlamaModel(str(path))
    # One layer, one head: 32 numbers of 16 bits for the key and as many for the value.
    assert model.kv_bytes_per_token == 128
    assert model.n_ctx_original_tokens == 9
    model.close()
    shape = footprint.shape_of(gguf.inspect(path).metadata)
    assert (shape.kv_bytes_per_token, shape.n_ctx_train_tokens, shape.n_heads) == (128, 4096, 1)


def test_a_split_model_is_loaded_from_all_its_files_and_counted_whole(tmp_path: Path) -> None:
    whole, said = load(chain_model(tmp_path / "chain.gguf", ["x"]))
    whole.close()
    paths = write(split((tmp_path / "chain.gguf").read_bytes(), 3), tmp_path, "chain")
    decoder, loaded = load(paths[0], others=tuple(map(str, paths[1:])))
    decoder.close()
    assert (loaded.n_params, loaded.n_ctx_tokens, loaded.template) == (said.n_params, said.n_ctx_tokens, said.template)
    with pytest.raises(UnusableModelFile, match="by its name into 2"):
        load(paths[0], others=(str(paths[1]),))


def with_gpu(monkeypatch: pytest.MonkeyPatch, *, takes: bool) -> list[int]:
    """A build with GPU support; gives the layers that models were opened with."""
    opened: list[int] = []
    real = llama.LlamaModel

    def open_it(path: str, *, others: Sequence[str], gpu_layers: int) -> llama.LlamaModel:
        opened.append(gpu_layers)
        if gpu_layers and not takes:
            raise llama.EngineError("out of device memory")
        return real(path, others=others, gpu_layers=gpu_layers)

    monkeypatch.setattr(llama, "offloads", lambda: True)
    monkeypatch.setattr(llama, "LlamaModel", open_it)
    return opened


def test_a_gpu_that_refuses_leaves_the_processor_and_a_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = with_gpu(monkeypatch, takes=False)
    decoder, loaded = load(chain_model(tmp_path / "chain.gguf", ["x"]))
    decoder.close()
    assert opened == [-1, 0]
    assert loaded.gpu_layers == 0
    assert loaded.notice == "the GPU does not take it, so the processor does: out of device memory"


def test_a_gpu_that_takes_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = with_gpu(monkeypatch, takes=True)
    decoder, loaded = load(chain_model(tmp_path / "chain.gguf", ["x"]), gpu_layers=7)
    decoder.close()
    assert opened == [7]
    assert (loaded.gpu_layers, loaded.notice) == (7, "")


def test_a_gpu_that_is_not_wanted_is_not_tried_and_a_bad_file_is_tried_on_the_processor_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = with_gpu(monkeypatch, takes=True)
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(small().encode())
    with pytest.raises(llama.EngineError):
        load(bad, gpu_layers=0)
    assert opened == [0]


def test_layers_asked_for_of_a_build_without_gpu_are_a_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama, "offloads", lambda: False)
    decoder, loaded = load(chain_model(tmp_path / "chain.gguf", ["x"]), gpu_layers=7)
    decoder.close()
    assert "no GPU support" in loaded.notice
