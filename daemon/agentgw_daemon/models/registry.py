"""The models there are, and which of them a reference means."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, assert_never

import trio

from agentgw.protocol.calls.models import ModelDetail
from agentgw.protocol.errors import AgentgwError, InvalidParams, ModelUnavailable, NotFound
from agentgw.protocol.types import Model
from agentgw_daemon.inference.spec import ModelSpec, ProviderSpec
from agentgw_daemon.models import rows
from agentgw_daemon.models.embedders import Embedders, with_prompts
from agentgw_daemon.models.fetching.meter import Progress
from agentgw_daemon.models.fetching.part import model_sha256
from agentgw_daemon.models.fetching.pull import Puller
from agentgw_daemon.models.files.preflight import ExaminedFile, Preflight
from agentgw_daemon.models.files.store import ModelFolder, StoredModel
from agentgw_daemon.models.names import reference
from agentgw_daemon.models.names.reference import Builtin, HubRef, Named, PathRef, ProviderRef, Reference
from agentgw_daemon.models.offer.catalogue import CATALOGUE, EMBEDDER_ARCHITECTURES, HUB_CATALOGUE, CatalogueEntry
from agentgw_daemon.models.offer.memory_rate import MemoryRate
from agentgw_daemon.models.refusals import missing_default, not_pulled, wrong_kind
from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.system.child_environment import worker_environment
from agentgw_daemon.text.near import hint_for
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.protocol.footprint import shape_of

if TYPE_CHECKING:
    from agentgw_daemon.config.settings import Settings

log = logging.getLogger(__name__)


class Registry:
    """Models of the daemon. References are text as the user writes it; see `reference`.

    Digests of the user's own files are computed in the nursery it was handed, one file at a time.
    """

    def __init__(
        self, store: ModelFolder, preflight: Preflight, puller: Puller, settings: Settings, *, home: str | None,
        nursery: trio.Nursery, embedders: Embedders, memory_rate: MemoryRate,
    ) -> None:  # fmt: skip
        self.memory_rate = memory_rate
        self._store = store
        self._preflight = preflight
        self._puller = puller
        self._settings = settings
        self._home = home
        self._embedders = embedders
        self._nursery = nursery
        self._digesting: set[str] = set()
        self._one_digest = trio.CapacityLimiter(1)

    def configure(self, settings: Settings) -> None:
        """Takes over a reloaded configuration: the default, the hub, the providers."""
        self._settings = settings

    def free_disk_bytes(self) -> int:
        """Bytes that are free where models are kept. Blocking."""
        return self._store.free_bytes()

    def listing(self, loaded: Collection[str] = (), loading: Collection[str] = ()) -> tuple[Model, ...]:
        """The models that can be used, then those that can be pulled. `loaded` and `loading` are names the
        pool knows.
        """
        default = self.default_name()
        made = [rows.stored(one, self._known_of(one)) for one in self._store.entries()]
        if default is not None and default.startswith("/"):
            made.append(rows.own_file(default, self._preflight.known(default)))
        made += self._embedders.listing()
        made += rows.providers(self._settings.providers)
        made.append(rows.ECHO)
        pulled = {row.name for row in made}
        made += [row for row in rows.catalogue() if row.name not in pulled]
        return tuple(rows.marked(row, default, loaded, loading) for row in made)

    async def show(self, text: str, loaded: Collection[str] = (), loading: Collection[str] = ()) -> ModelDetail:
        """One model, and what its file says; the names as for `listing`. Raises NotFound or ModelUnavailable."""
        name = self.name_of(text)
        if self._stored(self._parse(text)) is None:
            known_of = {row.name: row for row in (*rows.catalogue(), *self._embedders.listing())}
            if name in known_of:
                return ModelDetail(model=known_of[name], metadata={})
        spec = await self.resolve(text)
        known = self._preflight.known(spec.path) if spec.path is not None else None
        if spec.provider is not None:
            row = rows.endpoint(spec.provider.name, spec.provider.base_url, spec.provider.model)
        elif spec.path is None:
            row = rows.ECHO
        else:
            stored = self._stored(self._parse(text))
            row = rows.stored(stored, known) if stored is not None else rows.own_file(spec.name, known)
        row = rows.marked(row, self.default_name(), loaded, loading)
        return ModelDetail(model=row, metadata=known.header.metadata if known is not None else {})

    async def resolve(self, text: str | None) -> ModelSpec:
        """The model that answers; of None, the default one.

        A file is looked into first, in a child process and once: one that is no usable GGUF is ModelUnavailable
        with the reason. So is what is not pulled yet, and a missing default; never is another model taken
        silently. NotFound with the nearest name for what nobody knows.
        """
        if text is None:
            text = self.default_name()
            if text is None:
                raise missing_default()
        ref = self._parse(text)
        match ref:
            case Builtin():
                return ModelSpec(name=ref.name, kind="builtin")
            case ProviderRef():
                section = self._settings.providers[ref.provider]
                provider = ProviderSpec(
                    name=ref.provider, base_url=section.base_url, api_key_env=section.api_key_env, model=ref.model
                )
                return ModelSpec(name=ref.name, kind="provider", provider=provider)
            case PathRef():
                return await self._file(ref.path, ref.name, None)
            case Named() | HubRef():
                if _embedder(ref) is not None:
                    raise ModelUnavailable(
                        f"{ref.name} is an embedder: it turns text into vectors and answers nothing",
                        hint="`agentgw models` lists what answers", model=ref.name, reason="an embedder",
                    )  # fmt: skip
                stored = self._stored(ref)
                if stored is None:
                    raise self._missing(ref)
                return await self._file(str(stored.path), stored.name, stored)
            case _:
                assert_never(ref)

    async def embedder(self) -> wire.Embedder:
        """The embedder that the configuration names, which makes vectors. Raises ModelUnavailable and NotFound."""
        return await self.embedder_called(self._settings.rag.embedder)

    async def embedder_called(self, text: str) -> wire.Embedder:
        """An embedder by the name it had when it was the configured one."""
        return with_prompts(await self._embedders.find(text, self._file_called, self._home), self._settings.rag)

    def _file_called(self, text: str) -> str | None:
        """The path of a model file in the models folder, if one has this name."""
        try:
            stored = self._stored(self._parse(text))
        except AgentgwError:
            return None
        return str(stored.path) if stored is not None else None

    async def resolve_to_answer(self, text: str | None) -> ModelSpec:
        """Resolves as `resolve` does, for whoever wants an answer: a model nobody knows is ModelUnavailable to them."""
        try:
            return await self.resolve(text)
        except NotFound as error:
            raise ModelUnavailable(error.message, hint=error.hint, model=text, reason="unknown") from None

    async def pull(self, text: str, progress: Progress) -> Model:
        """Has the model on disk, from where it comes; at once when it is there already.

        Raises NotFound, ModelUnavailable, and InvalidParams for what needs no pull. Cancelled, what was
        downloaded is kept for the next try.
        """
        ref = self._parse(text)
        if isinstance(ref, Builtin | PathRef | ProviderRef):
            raise wrong_kind(ref, "needs no pull")
        if (wanted := _embedder(ref)) is not None:
            if not await trio.to_thread.run_sync(self._embedders.intact, wanted):
                await self._puller.embedder(wanted, self._embedders, progress)
            return (await self.show(wanted.name)).model
        stored = self._stored(ref)
        intact = stored is not None and await self._intact(stored)
        entry = CATALOGUE.get(ref.name) if isinstance(ref, Named) else None
        if entry is not None:
            if not intact or stored is None or stored.origin is None or stored.origin.sha256 != entry.sha256:
                await self._puller.entry(entry, progress)
            return (await self.show(entry.name)).model
        if isinstance(ref, HubRef) and not intact:
            stem = await self._puller.hub(self._settings.model.hub, ref, progress, again=stored is not None)
            stored = next(one for one in self._store.entries() if one.stem == stem)
        if stored is None:
            raise self._missing(ref)
        return (await self.show(stored.name)).model

    async def remove(self, text: str) -> None:
        """Deletes a model of the models folder. Raises NotFound, and InvalidParams for what is not ours."""
        ref = self._parse(text)
        if isinstance(ref, PathRef):
            raise wrong_kind(ref, "is your own file: agentgw uses it in place and never deletes it")
        if isinstance(ref, Builtin | ProviderRef):
            raise wrong_kind(ref, "has no file to remove")
        stored = self._stored(ref)
        embedder = _embedder(ref)
        try:
            if embedder is not None:
                async with self._puller.scratch() as scratch:
                    if not await trio.to_thread.run_sync(self._embedders.remove, embedder, scratch):
                        raise not_pulled(ref.name, self._store.entries())
                return
            if stored is None:
                raise not_pulled(ref.name, self._store.entries())
            await trio.to_thread.run_sync(self._store.remove, stored.stem)
        except FileNotFoundError:
            raise NotFound(f"{ref.name} is not there any more", kind="model", id=ref.name) from None
        except OSError as error:
            reason = f"cannot be removed: {error.strerror}"
            raise ModelUnavailable(f"{ref.name} {reason}", model=ref.name, reason=reason) from error
        if self._store.default == stored.name:
            await trio.to_thread.run_sync(self._store.set_default, None)

    async def set_default(self, text: str) -> Model:
        """Answers with this model from now on when nothing names one. Raises like `resolve_to_answer`."""
        configured = self._settings.model.default
        spec = await self.resolve_to_answer(text)
        if configured is not None and self._canonical(configured) != spec.name:
            raise InvalidParams(
                f"model.default in the configuration is {reference.shown(configured)} and wins",
                hint="change it with `agentgw config edit`", path="model", reason="the configuration names another",
            )  # fmt: skip
        await trio.to_thread.run_sync(self._store.set_default, spec.name)
        return (await self.show(spec.name)).model

    def default_name(self) -> str | None:
        """The model that answers when nothing names one; None: nothing does."""
        return self.default()[0]

    def default(self) -> tuple[str | None, str]:
        """The model that answers when nothing names one, and who says so.

        The configuration's word, else what was made the default last, else the first chat model pulled. Never
        `echo` unless somebody said so.
        """
        configured = self._settings.model.default
        if configured is not None:
            return self._canonical(configured), "configuration"
        entries = self._store.entries()
        remembered = self._store.default
        if remembered is not None and self._usable(remembered, entries):
            return remembered, "agentgw models default"
        candidates = [(self._rank(one), at, one.name) for at, one in enumerate(entries)]
        best = min(candidates, default=None)
        return (best[2] if best is not None and best[0] < _NO_CHAT else None), "the best that is there"

    def provider_of(self, name: str | None) -> str:
        """The provider that computes the answers of this model, for `daemon.status`."""
        if name is None:
            return ""
        try:
            ref = self._parse(name)
        except AgentgwError:
            return ""
        return ref.provider if isinstance(ref, ProviderRef) else "builtin" if isinstance(ref, Builtin) else "llama.cpp"

    def name_of(self, text: str) -> str:
        """The name under which the pool knows what `text` means, without looking at any file.

        Raises InvalidParams or NotFound for what is no reference.
        """
        ref = self._parse(text)
        stored = self._stored(ref)
        return stored.name if stored is not None else ref.name

    def _canonical(self, text: str) -> str:
        try:
            return self.name_of(text)
        except AgentgwError:
            return text  # said when it is used

    def _parse(self, text: str) -> Reference:
        return reference.parse(text, providers=self._settings.providers, home=self._home)

    def _stored(self, ref: Reference) -> StoredModel | None:
        entries = self._store.entries()
        if isinstance(ref, Named):
            return next((one for one in entries if one.is_called(ref.name)), None)
        if not isinstance(ref, HubRef):
            return None
        fitting = [one for one in entries if one.origin is not None and one.origin.answers(ref)]
        return next((one for one in fitting if one.name == ref.name), fitting[0] if fitting else None)

    def _known_of(self, stored: StoredModel) -> ExaminedFile | None:
        return self._preflight.known(str(stored.path))

    def _usable(self, name: str, entries: Collection[StoredModel]) -> bool:
        """Tells whether a remembered default is still there."""
        try:
            ref = self._parse(name)
        except AgentgwError:
            return False  # a provider that is configured no more
        if isinstance(ref, PathRef):
            return os.path.exists(ref.path)
        return isinstance(ref, Builtin | ProviderRef) or any(one.name == name for one in entries)

    def _rank(self, stored: StoredModel) -> int:
        """The rank of a file as the default: chat models first, those with a chat template before others."""
        known = self._known_of(stored)
        if known is None:
            return 1 if stored.is_complete else _NO_CHAT
        if known.header.architecture in EMBEDDER_ARCHITECTURES:
            return _NO_CHAT
        return 0 if known.header.has_chat_template else 2

    async def _file(self, path: str, name: str, stored: StoredModel | None) -> ModelSpec:
        real, known = await self._preflight.check(path, name)
        if known.sha256 is None and real not in self._digesting:
            self._digesting.add(real)
            self._nursery.start_soon(supervised, "digesting a model", self._digest, real, known, stored)
        return ModelSpec(
            name=name, kind="file", path=real, others=tuple(one.path for one in known.others), sha256=known.sha256,
            shape=shape_of(known.header.metadata),
        )  # fmt: skip

    async def _intact(self, stored: StoredModel) -> bool:
        """Tells whether a file is still what was pulled. Reads all of it only when it was touched since."""
        if stored.origin is None:
            return True
        known = self._known_of(stored)
        if known is not None and known.sha256 is not None:
            return known.sha256 == stored.origin.sha256
        try:
            paths = [str(path) for path, _ in stored.files]
            found = await trio.to_thread.run_sync(model_sha256, paths, limiter=self._one_digest)
        except OSError:
            return False
        return found == stored.origin.sha256

    async def _digest(self, path: str, known: ExaminedFile, stored: StoredModel | None) -> None:
        """Computes the digest of a file in use, beside the turn that uses it: the next turn will know it."""
        try:
            paths = (path, *(one.path for one in known.others))
            sha256 = await trio.to_thread.run_sync(model_sha256, paths, limiter=self._one_digest)
        except OSError as error:
            log.warning("no digest of %s: %s", path, error)
            return
        finally:
            self._digesting.discard(path)
        if stored is not None and stored.origin is not None and stored.origin.sha256 != sha256:
            log.warning("%s is not the file that was pulled: sha256 %s, was %s", path, sha256, stored.origin.sha256)
        await self._preflight.set_sha256(path, known, sha256)

    def check_exists(self, text: str, settings: Settings) -> None:
        """Raises NotFound for a name that no model has under these settings; one that can be pulled exists."""
        ref = reference.parse(text, providers=settings.providers, home=self._home)
        if isinstance(ref, Named) and ref.name not in CATALOGUE and self._stored(ref) is None:
            raise self._missing(ref)
        if isinstance(ref, PathRef) and not os.path.exists(ref.path):
            raise NotFound(f"there is no file {reference.shown(ref.path)}", kind="model", id=ref.name)

    def check_embedder_exists(self, text: str) -> None:
        """Raises ModelUnavailable for an embedder that is not there; one that can be pulled exists."""
        self._embedders.check_exists(text, self._file_called, self._home)

    def _missing(self, ref: Named | HubRef) -> ModelUnavailable | NotFound:
        if isinstance(ref, HubRef) or ref.name in CATALOGUE:
            return ModelUnavailable(
                f"model {ref.name} is not pulled", hint=f"run `agentgw pull {ref.name}`", model=ref.name,
                reason="not pulled", suggestion=ref.name,
            )  # fmt: skip
        known = [*(one.name for one in self._store.entries()), *CATALOGUE, *HUB_CATALOGUE, reference.ECHO]
        hint = hint_for(ref.name, known, "`agentgw models` lists them; hf:OWNER/REPO pulls from the hub")
        return NotFound(f"there is no model {ref.name}", hint=hint, kind="model", id=ref.name)


# A rank nothing is taken at.
_NO_CHAT: Final = 3


@asynccontextmanager
async def open_registry(
    folder: Path, settings: Settings, *, environ: Mapping[str, str], instance: str
) -> AsyncIterator[Registry]:
    """The registry over a models folder; leaving it ends what it computes in the background."""
    store = ModelFolder(folder)
    await trio.to_thread.run_sync(store.prepare)
    preflight = Preflight(store.known_file, environ, instance)
    await trio.to_thread.run_sync(preflight.load)
    puller = Puller(store, preflight, environ)
    env = worker_environment(environ, instance)
    async with trio.open_nursery() as nursery:
        yield Registry(
            store, preflight, puller, settings, home=environ.get("HOME"), nursery=nursery,
            embedders=Embedders(folder, env), memory_rate=MemoryRate(env),
        )  # fmt: skip
        nursery.cancel_scope.cancel()


def _embedder(ref: Reference) -> CatalogueEntry | None:
    """The catalogue's embedder that is meant, if one is."""
    entry = CATALOGUE.get(ref.name) if isinstance(ref, Named) else None
    return entry if entry is not None and entry.is_embedder else None
