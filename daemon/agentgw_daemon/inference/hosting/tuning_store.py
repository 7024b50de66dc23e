"""Measurements of this machine, kept in the cache directory: one small file a model file.

A result holds for what it was measured with: the same file, engine, processor and settings. With anything else it
counts no more and is measured again. A damaged file counts as none: all that is lost is some seconds of measuring.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import platform
from pathlib import Path
from typing import Any, Final

from agentgw.protocol.errors import InvalidParams
from agentgw.protocol.records.schema import bind, dump, record
from agentgw.protocol.tuning import Measurement, Tuning
from agentgw_daemon.inference.spec import InferenceSettings
from agentgw_daemon.system.json_file import read_mapping, write_atomically
from agentgw_daemon.workers.protocol import model as wire

_log = logging.getLogger(__name__)

_CPUINFO: Final = Path("/proc/cpuinfo")


@record
class Basis:
    """Grounds of a measurement: the file, the engine's build, the processor, and what settings leave open."""

    path: str
    size_bytes: int
    mtime_ns: int
    build: str
    processor: str
    cpus: int
    slots: int
    gpu_layers: int
    asked: Tuning


@record
class StoredTuning:
    """The best settings, for this basis, and the figures they follow from."""

    basis: Basis
    best: Tuning
    measured: tuple[Measurement, ...]


class TuningStore:
    """The results. Blocking file work."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of_file(self, path: str) -> StoredTuning | None:
        """The last measurement with this model file, whatever the settings were."""
        return _bound(read_mapping(self._file(path)))

    def best(self, basis: Basis) -> Tuning | None:
        """The best settings; None if they are not known for exactly this."""
        found = self.of_file(basis.path)
        return found.best if found is not None and found.basis == basis else None

    def keep(self, basis: Basis, message: wire.TuningFound) -> None:
        """Write down what a worker measured; where that cannot be done it is measured again."""
        found = dump(StoredTuning(basis=basis, best=message.tuning, measured=message.measured))
        if _bound(found) is None:
            _log.error("what a worker measured makes no sense: %s", message)
            return
        _log.info("measured with %s: %s", basis.path, found["best"])
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._file(basis.path), found)
        except OSError as error:
            _log.warning("what was measured cannot be kept in %s: %s", self._folder, error.strerror)

    def _file(self, path: str) -> Path:
        # A path may be longer than a file's name, and has slashes.
        return self._folder / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.json"


def basis_of(path: str, settings: InferenceSettings, build: str) -> Basis:
    """The grounds that a measurement with this file would have at this moment. Raises OSError."""
    status = os.stat(path)
    return Basis(
        path=path, size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, build=build, processor=_processor(),
        cpus=_usable_cpus(), slots=settings.slots, gpu_layers=settings.gpu_layers, asked=settings.tuning,
    )  # fmt: skip


def load_message(
    path: str, n_ctx_tokens: int, settings: InferenceSettings, *, others: tuple[str, ...] = ()
) -> wire.Load:
    """The load message when nothing was measured: the settings, and the rest is the worker's choice."""
    return wire.Load(
        path=path, others=others, n_ctx_tokens=n_ctx_tokens, gpu_layers=settings.gpu_layers, slots=settings.slots,
        speculate=settings.speculate, kv_dir=settings.kv_dir, kv_cache_bytes=settings.kv_cache_bytes,
        tuning=settings.tuning,
    )  # fmt: skip


def tuned(load: wire.Load, best: Tuning | None, *, calibrate_after_s: float) -> wire.Load:
    """The message with the best settings, or with the wish to find them if it leaves anything open."""
    if best is not None:
        return dataclasses.replace(load, tuning=best)
    if load.tuning.attention != "auto" and load.tuning.threads and load.tuning.batch_tokens:
        return load
    return dataclasses.replace(load, calibrate_after_s=calibrate_after_s)


def in_force(loaded: wire.Loaded) -> Tuning | None:
    """The settings that a worker runs with; None from one that does not say, or says what makes no sense."""
    if not loaded.tuning.threads:
        return None
    try:
        return bind(Tuning, dump(loaded.tuning))
    except InvalidParams:
        return None


def described(loaded: wire.Loaded) -> str:
    """The settings that a worker runs with, in a line for people; what could not be done as asked stands first."""
    said = [loaded.notice] if loaded.notice else []
    tuning = in_force(loaded)
    if tuning is not None:
        threads = f"{tuning.threads}" if tuning.threads == tuning.threads_batch else (
            f"{tuning.threads} to decode and {tuning.threads_batch} to read"
        )  # fmt: skip
        said.append(f"attention {tuning.attention}, threads {threads}, batches of {tuning.batch_tokens}")
    if loaded.gpu_layers:
        said.append("layers on the GPU: " + ("all that fit" if loaded.gpu_layers < 0 else str(loaded.gpu_layers)))
    return "; ".join(said)


def _bound(value: Any) -> StoredTuning | None:
    try:
        return bind(StoredTuning, value)
    except (InvalidParams, TypeError):
        return None


def _processor() -> str:
    try:
        for line in _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        return platform.processor()  # not Linux
    return platform.machine()


def _usable_cpus() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1
