from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentgw_daemon.inference import loading, wire
from agentgw_daemon.inference.cancellation import Cancellations
from agentgw_daemon.inference.decoder import Decoder
from agentgw_daemon.inference.llama import Model
from tests.inference.tinygguf import U32, chain_model

Open = Callable[..., Model]


@pytest.fixture
def open_model(tmp_path: Path) -> Iterator[Open]:
    """Makes and opens a model with this metadata; closes it after the test."""
    opened: list[Model] = []

    def open_it(**metadata: int) -> Model:
        path = chain_model(tmp_path / "model.gguf", ["x"], metadata={k: (U32, v) for k, v in metadata.items()})
        opened.append(Model(str(path)))
        return opened[-1]

    yield open_it
    for model in opened:
        model.close()


def test_every_slot_has_room_for_a_whole_context(open_model: Open) -> None:
    assert loading._cells(open_model(), 1000, 4) == 4000


def test_where_that_is_too_much_slots_share_what_fits_but_never_less_than_a_context(
    open_model: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_model()
    # One layer, one head: 32 numbers of 16 bits for the key and as many for the value.
    assert model.kv_bytes_per_token == 128
    monkeypatch.setattr(loading, "MAX_KV_BYTES", 128 * 2500)
    assert loading._cells(model, 1000, 4) == 2500
    assert loading._cells(model, 3000, 4) == 3000
    monkeypatch.setattr(loading, "available_bytes", lambda: 128 * 6000)
    assert loading._cells(model, 1000, 4) == 1500


def test_cells_never_stretch_a_context_that_need_not_be(open_model: Open) -> None:
    model = open_model(**{"llama.rope.scaling.original_context_length": 1500})
    assert model.n_ctx_original_tokens == 1500
    assert loading._cells(model, 1000, 4) == 1500
    assert loading._cells(model, 2000, 4) == 8000


def load(path: Path, **settings: int) -> tuple[Decoder, wire.Loaded]:
    return loading.load(wire.Load(path=str(path), **settings), emit=lambda message: None, cancellations=Cancellations())


def test_loading_says_how_many_slots_there_are(tmp_path: Path) -> None:
    decoder, loaded = load(chain_model(tmp_path / "chain.gguf", ["x"]), slots=3, n_ctx_tokens=256)
    decoder.close()
    assert (loaded.slots, loaded.n_ctx_tokens) == (3, 256)


def test_a_model_whose_memory_cannot_be_shared_answers_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Model, "can_share", False)
    decoder, loaded = load(chain_model(tmp_path / "chain.gguf", ["x"]), slots=3)
    decoder.close()
    assert loaded.slots == 1
