"""The real worker with an embedder of some kilobytes: the same facade as over the fake one."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from agentgw.protocol.errors import ModelUnavailable
from agentgw_daemon.models.embedders import Embedders
from agentgw_daemon.retrieval.pool import Resolve, Retrieval
from agentgw_daemon.retrieval.results import ExtractedDocument
from agentgw_daemon.retrieval.spec import RetrievalSettings
from agentgw_daemon.workers.protocol import retrieval as wire
from tests.retrieval.fakeworker import fake_embedder, fake_settings
from tests.workers.retrieval.embedding.tinybert import WIDTH, make_folder
from tests.workers.retrieval.live import running

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("tiny") / "model")


def resolve(path: Path) -> Resolve:
    embedders = Embedders(path.parent, dict(os.environ))

    async def find() -> wire.Embedder:
        return await embedders.find(str(path), lambda _name: None, None)

    return find


@pytest.fixture(params=["fake", "real"])
def made(request: pytest.FixtureRequest, tiny: Path) -> tuple[RetrievalSettings, Resolve]:
    """The settings of each worker: what both must do is asked of both."""
    if request.param == "fake":
        return fake_settings(), fake_embedder
    return RetrievalSettings(), resolve(tiny)


async def embedded(retrieval: Retrieval, *texts: str, purpose: str = "query") -> list[tuple[float, ...]]:
    vectors = await retrieval.embed(texts, purpose=purpose)  # type: ignore[arg-type]  # one of the two
    return [struct.unpack(f"<{len(vector) // 4}f", vector) for vector in vectors]


async def test_vectors_have_unit_length_and_are_the_texts_own(made: tuple[RetrievalSettings, Resolve]) -> None:
    async with running(*made) as retrieval:
        dim = (await retrieval.embedder()).dim
        one, two, again, empty = await embedded(retrieval, "hello world", "other words", "hello world", "")
        assert one == again != two
        assert all(len(vector) == dim for vector in (one, two, empty))
        assert all(abs(sum(x * x for x in vector) - 1) < 1e-5 for vector in (one, two, empty))


async def test_both_purposes_give_the_same_vectors(made: tuple[RetrievalSettings, Resolve]) -> None:
    async with running(*made) as retrieval:
        queries = await embedded(retrieval, "hello", "world", "a b c")
        bulk = await embedded(retrieval, "hello", "world", "a b c", purpose="bulk")
    for one, other in zip(queries, bulk, strict=True):
        assert sum(x * y for x, y in zip(one, other, strict=True)) > 0.99999


async def test_workers_say_their_role_and_model(made: tuple[RetrievalSettings, Resolve]) -> None:
    async with running(*made) as retrieval:
        name = (await retrieval.embedder()).name
        await embedded(retrieval, "x")
        await embedded(retrieval, "x", purpose="bulk")
        found = {worker.detail: worker.model for worker in retrieval.workers()}
    assert found == {"search": name, "bulk": name}


async def test_a_document_becomes_pieces(made: tuple[RetrievalSettings, Resolve], tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("hello world\n\nhello again\n")
    async with running(*made) as retrieval:
        found = await retrieval.read(str(path), chunk_tokens=64)
    assert isinstance(found, ExtractedDocument)
    assert "hello world" in found.pieces[0].text
    assert (found.size_bytes, found.pieces[0].first_line) == (25, 1)


async def test_a_text_longer_than_the_window_is_cut_to_it(tiny: Path) -> None:
    async with running(RetrievalSettings(), resolve(tiny)) as retrieval:
        whole, longer, other = await embedded(retrieval, "a " * 14, "a " * 14 + "b c d", "a " * 13 + "b")
        assert len(whole) == WIDTH
        assert whole == longer != other


async def test_a_gguf_of_its_own_is_an_embedder(tiny: Path, tmp_path: Path) -> None:
    async with running(RetrievalSettings(), resolve(tiny)) as retrieval:
        conversion = Path((await retrieval.embedder()).gguf)
        expected = await embedded(retrieval, "hello world")
    file = tmp_path / "own.gguf"
    file.write_bytes(conversion.read_bytes())
    async with running(RetrievalSettings(), resolve(file)) as retrieval:
        assert (await retrieval.embedder()).folder == ""
        found = await embedded(retrieval, "hello world")
        assert found == await embedded(retrieval, "hello world", purpose="bulk")
    assert sum(x * y for x, y in zip(found[0], expected[0], strict=True)) > 0.99999


async def test_another_embedder_is_loaded_in_place_of_the_first(tiny: Path, tmp_path: Path) -> None:
    second = await resolve(make_folder(tmp_path / "second", seed=1))()
    async with running(RetrievalSettings(), resolve(tiny)) as retrieval:
        first = await retrieval.embed(["hello"], purpose="query")
        changed = await retrieval.embed(["hello"], purpose="query", embedder=second)
        assert changed != first
        assert await retrieval.embed(["hello"], purpose="query") == first
        assert len(retrieval.workers()) == 1


async def test_weights_that_are_gone_are_told_and_the_worker_stays(tiny: Path, tmp_path: Path) -> None:
    async with running(RetrievalSettings(), resolve(tiny)) as retrieval:
        found = await retrieval.embedder()
        gone = wire.Embedder(name="gone", id="x", dim=found.dim, max_tokens=16, gguf=str(tmp_path / "gone.gguf"))
        with pytest.raises(ModelUnavailable, match="gone cannot be used"):
            await retrieval.embed(["x"], purpose="query", embedder=gone)
        pids = {worker.pid for worker in retrieval.workers()}
        await embedded(retrieval, "x")
        assert {worker.pid for worker in retrieval.workers()} == pids
