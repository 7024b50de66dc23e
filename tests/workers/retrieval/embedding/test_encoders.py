"""Choice of the engine that embeds: by what there is, how much is coming, and what can be imported."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.retrieval.embedding import encoders
from agentgw_daemon.workers.retrieval.embedding.encoders import (
    STEP_TEXTS,
    TORCH_AFTER_TEXTS,
    BulkEncoders,
    LightEncoders,
)
from agentgw_daemon.workers.retrieval.handlers import Refusal
from tests.patience import PATIENCE_S

BOTH = wire.Embedder(name="both", id="b", dim=2, max_tokens=8, folder="/f", gguf="/g")
FOLDER = wire.Embedder(name="folder", id="f", dim=2, max_tokens=8, folder="/f")
FILE = wire.Embedder(name="file", id="g", dim=2, max_tokens=8, gguf="/g")


class Engine:
    """Counts which of its kind are open."""

    def __init__(self, embedder: wire.Embedder, engine: str, opened: list[str]) -> None:
        self.embedder = embedder
        self.engine = engine
        self.sparing = False
        self.sizes: list[int] = []
        self._opened = opened
        opened.append(engine)

    def embed(self, texts: Sequence[str], prompt: str = "") -> npt.NDArray[np.float32]:
        self.sizes.append(len(texts))
        return np.array([[len(prompt + text), 0] for text in texts], np.float32)

    def close(self) -> None:
        self._opened.remove(self.engine)


class Engines:
    """Record of what is open, and a gate before torch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open: list[str] = []
        self.gate = threading.Event()
        self.refusal: Refusal | None = None
        monkeypatch.setattr(encoders, "_llama", lambda embedder, lean: Engine(embedder, "llama.cpp", self.open))
        monkeypatch.setattr(encoders, "_torch", self.torch)

    def torch(self, embedder: wire.Embedder) -> Engine:
        assert self.gate.wait(60)
        if self.refusal is not None:
            raise self.refusal
        return Engine(embedder, "torch", self.open)


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    return Engines(monkeypatch)


def loaded(bulk: BulkEncoders) -> None:
    """Wait until torch is decided about."""
    assert bulk._loading is not None
    bulk._loading.join(PATIENCE_S)


def test_few_texts_never_import_torch(engines: Engines) -> None:
    bulk = BulkEncoders()
    for _ in range(TORCH_AFTER_TEXTS // 60):
        assert bulk.get(BOTH, 60, 0).engine == "llama.cpp"
    assert bulk._loading is None


@pytest.mark.parametrize(("count", "more"), [(TORCH_AFTER_TEXTS + 1, 0), (1, TORCH_AFTER_TEXTS)])
def test_many_texts_begin_with_llama_and_go_over_to_torch(engines: Engines, count: int, more: int) -> None:
    bulk = BulkEncoders()
    assert bulk.get(BOTH, count, more).engine == "llama.cpp"
    assert bulk.get(BOTH, 1, 0).engine == "llama.cpp", "while torch is imported"
    engines.gate.set()
    loaded(bulk)
    assert bulk.get(BOTH, 1, 0).engine == "torch"
    assert engines.open == ["torch"], "the other one's memory is free"


def test_torch_takes_over_in_the_middle_of_a_request(engines: Engines) -> None:
    bulk = BulkEncoders()
    light = bulk.get(BOTH, 1, TORCH_AFTER_TEXTS)
    assert isinstance(light, Engine)
    assert light.sparing
    texts = ["x" * length for length in range(5 * STEP_TEXTS)]
    embed = light.embed

    def last(given: Sequence[str], prompt: str = "") -> npt.NDArray[np.float32]:
        if len(light.sizes) == 1:
            engines.gate.set()
            loaded(bulk)
        return embed(given, prompt)

    light.embed = last  # type: ignore[method-assign]  # torch arrives while it works
    rows, engine = bulk.embed(BOTH, texts, 0, "> ")
    assert rows[:, 0].tolist() == list(range(2, 5 * STEP_TEXTS + 2)), "the prompt is before each"
    assert engine == "torch"
    assert light.sizes == [STEP_TEXTS, STEP_TEXTS]


def test_where_torch_cannot_be_used_llama_goes_on(engines: Engines, capfd: pytest.CaptureFixture[str]) -> None:
    engines.refusal = Refusal("model", "torch cannot be imported: no such module")
    engines.gate.set()
    bulk = BulkEncoders()
    bulk.get(BOTH, 1000, 0)
    loaded(bulk)
    assert bulk.get(BOTH, 1000, 0).engine == "llama.cpp"
    assert "torch is not used: torch cannot be imported" in capfd.readouterr().err


def test_a_folder_without_a_twin_waits_for_torch_for_everything(engines: Engines) -> None:
    engines.gate.set()
    assert BulkEncoders().get(FOLDER, 1, 0).engine == "torch"
    assert LightEncoders().get(FOLDER).engine == "torch"


def test_a_folder_that_torch_refuses_says_why(engines: Engines) -> None:
    engines.refusal = Refusal("model", "it is damaged")
    engines.gate.set()
    with pytest.raises(Refusal, match="it is damaged"):
        BulkEncoders().get(FOLDER, 1, 0)


def test_a_file_alone_never_imports_torch(engines: Engines) -> None:
    bulk = BulkEncoders()
    assert bulk.get(FILE, 10_000, 10_000).engine == "llama.cpp"
    assert bulk._loading is None


def test_another_embedder_takes_the_place_of_the_first(engines: Engines) -> None:
    bulk, light = BulkEncoders(), LightEncoders()
    bulk.get(BOTH, 1, 0)
    assert bulk.get(FILE, 1, 0).embedder == FILE
    light.get(BOTH)
    assert light.get(FILE).embedder == FILE
    assert light.get(FILE) is light.get(FILE)
    assert engines.open == ["llama.cpp", "llama.cpp"]


def test_another_prompt_loads_nothing_anew(engines: Engines) -> None:
    bulk, light = BulkEncoders(), LightEncoders()
    first = bulk.get(FILE, 1, 0), light.get(FILE)
    prompted = dataclasses.replace(FILE, id=wire.prompted_id(FILE.id, "d: "), query_prompt="q: ", document_prompt="d: ")
    assert (bulk.get(prompted, 1, 0), light.get(prompted)) == first
