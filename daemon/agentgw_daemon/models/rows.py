"""The rows of `model.list`: each kind of model as `types.Model`. Does no I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agentgw.protocol.types import Model
from agentgw_daemon.models.files.preflight import ExaminedFile
from agentgw_daemon.models.files.store import StoredModel
from agentgw_daemon.models.names import reference
from agentgw_daemon.models.offer.catalogue import CATALOGUE, HUB_CATALOGUE, CatalogueEntry, HubModel

if TYPE_CHECKING:
    from agentgw_daemon.config.settings import ProviderSection

ECHO: Final = Model(
    name=reference.ECHO,
    state="available",
    source="builtin",
    description="answers with your own message: for tests and plumbing",
)


def stored(one: StoredModel, known: ExaminedFile | None) -> Model:
    """A file of the models folder."""
    origin = one.origin
    known_here = HUB_CATALOGUE.get(one.name)
    row = Model(
        name=one.name,
        state="available",
        source=origin.source if origin else "file",
        path=str(one.path),
        size_bytes=one.size_bytes,
        sha256=origin.sha256 if origin else None,
        digest=None if origin is None else "hub" if origin.source == "hub" else "pinned",
        licence=origin.licence if origin else None,
        description=(origin.description if origin else None) or (known_here.description if known_here else None),
        embedder=known_here.is_embedder or None if known_here else None,
    )
    return _with_header(row, known)


def own_file(path: str, known: ExaminedFile | None) -> Model:
    """A file of the user's own."""
    return _with_header(Model(name=path, state="available", source="file", path=path), known)


def entry(one: CatalogueEntry) -> Model:
    """A row for what the catalogue has and the disk has not."""
    return Model(
        name=one.name,
        state="not_pulled",
        source="index",
        size_bytes=one.total_bytes,
        sha256=one.sha256,
        digest="pinned",
        licence=one.licence,
        description=one.description,
        embedder=one.is_embedder or None,
    )


def hub_model(one: HubModel) -> Model:
    """A row for what the catalogue knows on the model hub and the disk has not. The hub says its digest when it is
    pulled.
    """
    return Model(
        name=one.name,
        state="not_pulled",
        source="hub",
        size_bytes=one.size_bytes,
        digest="hub",
        licence=one.licence,
        description=one.description,
        n_ctx_train_tokens=one.n_ctx_train_tokens,
        embedder=one.is_embedder or None,
    )


def catalogue() -> Iterator[Model]:
    """All that can be pulled and has a name here, as if nothing of it were on disk."""
    yield from map(entry, CATALOGUE.values())
    yield from map(hub_model, HUB_CATALOGUE.values())


def providers(sections: Mapping[str, ProviderSection]) -> Iterator[Model]:
    """The models configured endpoints are said to have; one row for an endpoint that is said nothing of."""
    for name, section in sections.items():
        for model in section.models or ("MODEL",):
            yield endpoint(name, section.base_url, model)


def endpoint(provider: str, base_url: str, model: str) -> Model:
    """A model of an endpoint."""
    return Model(name=f"{provider}/{model}", state="available", source="provider", description=f"{model} at {base_url}")


def marked(row: Model, default: str | None, loaded: Collection[str], loading: Collection[str]) -> Model:
    """The row with what the daemon does with the model now."""
    state = "loaded" if row.name in loaded else "loading" if row.name in loading else row.state
    return replace(row, state=state, default=row.name == default and row.state != "not_pulled")


def _with_header(row: Model, known: ExaminedFile | None) -> Model:
    if known is None:
        return row
    header = known.header
    return replace(
        row,
        size_bytes=known.total_bytes,
        sha256=known.sha256 or row.sha256,
        architecture=header.architecture,
        description=row.description or header.name,
        n_ctx_train_tokens=header.n_ctx_train_tokens,
    )
