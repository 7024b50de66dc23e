"""The catalogue's models of the hub: each pulled from a hub that lists files as the real one does."""

from __future__ import annotations

import hashlib
import os
import re
from datetime import date
from pathlib import Path

import pytest

from agentgw_daemon.config.settings import ModelSection, Settings
from agentgw_daemon.models.fetching.hub import HubFile
from agentgw_daemon.models.names.reference import HubRef, parse
from agentgw_daemon.models.offer.catalogue import CATALOGUE_DATE, HUB_CATALOGUE, HUB_MODELS, HubModel
from agentgw_daemon.models.registry import open_registry
from tests.models.ggufs import gguf
from tests.models.hubserver import Hub
from tests.root import ROOT

BODY = gguf(7, rows=64)
PAGE = ROOT / "docs" / "models.md"


def list_as_the_hub_does(hub: Hub, model: HubModel) -> str:
    """A repository with the model among what such repositories hold; gives the digest of the model."""
    ref = parse(model.name)
    assert isinstance(ref, HubRef)
    repo = f"{ref.owner}/{ref.repo}"
    # As often spelled in them: `Name-Q4_K_M.gguf`, `name-q4_k_m.gguf`.
    stem = re.sub(rf"[-.]?{ref.quant}\.gguf$", "", model.file, flags=re.IGNORECASE)
    for path in (".gitattributes", "README.md", "config.json", "imatrix.dat", "Modelfile"):
        hub.add(repo, path, b"text", sha256=None)
    others = (
        "BF16/" + stem + "-BF16-00001-of-00002.gguf", "BF16/" + stem + "-BF16-00002-of-00002.gguf",
        stem + "-Q2_K.gguf", stem + "-Q3_K_M.gguf", stem + "-Q5_K_M.gguf", stem + "-Q6_K.gguf",
        stem + "-UD-Q4_K_XL.gguf", f"{stem}-{ref.quant}-00001-of-00002.gguf",
        f"{stem}-{ref.quant}-00002-of-00002.gguf", f"mmproj-{stem}-{ref.quant}.gguf", "mmproj-F16.gguf",
    )  # fmt: skip
    for number, path in enumerate(others):
        hub.add(repo, path, b"other %d" % number)
    return hub.add(repo, model.file, BODY)


@pytest.mark.anyio
@pytest.mark.parametrize("model", HUB_MODELS, ids=lambda model: model.file)
async def test_each_is_pulled_by_its_reference(hub: Hub, folder: Path, model: HubModel) -> None:
    digest = list_as_the_hub_does(hub, model)
    hub.tags = ["gguf", f"license:{model.licence}"]
    seen = []

    async def progress(done_bytes: int, total_bytes: int) -> None:
        seen.append((done_bytes, total_bytes))

    settings = Settings(model=ModelSection(hub=hub.url))
    async with open_registry(folder, settings, environ=os.environ, instance="test") as models:
        before = (await models.show(model.name)).model
        pulled = await models.pull(model.name, progress)
        listed = [row for row in models.listing() if row.name == model.name]
    assert (before.state, before.digest, before.sha256) == ("not_pulled", "hub", None)
    assert (before.size_bytes, before.licence, before.source) == (model.size_bytes, model.licence, "hub")
    assert (pulled.name, pulled.state, pulled.digest, pulled.sha256) == (model.name, "available", "hub", digest)
    assert (pulled.description, pulled.licence) == (model.description, model.licence)
    assert listed == [pulled]
    assert seen[-1] == (len(BODY), len(BODY))
    assert [request.path for request in hub.downloads] == [
        f"/{model.name.removeprefix('hf:').rpartition(':')[0]}/resolve/main/{model.file}"
    ]
    assert hashlib.sha256(Path(str(pulled.path)).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("model", HUB_MODELS, ids=lambda model: model.file)
def test_a_reference_names_the_quantisation_of_its_file(model: HubModel) -> None:
    ref = parse(model.name)
    assert isinstance(ref, HubRef)
    assert ref.name == model.name
    assert HubFile(path=model.file, size_bytes=1, sha256=None).quant == ref.quant


def test_there_are_a_dozen_for_laptops_and_one_embedder() -> None:
    answering = [model for model in HUB_MODELS if model.kind != "embedder"]
    assert len(answering) >= 12
    assert {model.kind for model in answering} == {"general", "code", "reasoning"}
    assert [model.size_bytes for model in answering] == sorted(model.size_bytes for model in answering)
    assert all(1e9 < model.size_bytes < 10e9 for model in answering)
    assert len(HUB_MODELS) - len(answering) == 1
    assert len(HUB_CATALOGUE) == len(HUB_MODELS)
    assert date.fromisoformat(CATALOGUE_DATE) <= date(2026, 11, 28)


@pytest.mark.parametrize("model", HUB_MODELS, ids=lambda model: model.file)
def test_the_page_states_what_the_catalogue_does(model: HubModel) -> None:
    (row,) = [line for line in PAGE.read_text().splitlines() if f"`{model.name}`" in line]
    context = f"{model.n_ctx_train_tokens:,}" if model.n_ctx_train_tokens else "not stated"
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:5] == [model.kind, f"{model.size_bytes:,}", context, model.licence]


def test_the_page_is_dated() -> None:
    assert CATALOGUE_DATE in PAGE.read_text()
