"""The models folder: what is pulled, what is half pulled, and what is known about files.

    NAME.gguf          a model, complete and verified
    NAME-00001-of-00003.gguf …    a model that is split; its name is the first file's
    NAME.json          where it came from (`Origin`)
    .partial/          downloads under way; scratch folders of pip
    .known.json        what the header check found in which file, so that it runs once a file
    .default           the name of the model last made the default

A name appears only by rename, its origin before it. Everything here is blocking file work.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar

from agentgw.protocol.errors import InvalidParams, ModelUnavailable
from agentgw.protocol.records.schema import bind, dump, record
from agentgw_daemon.models.names.reference import GGUF, HubRef
from agentgw_daemon.models.names.shards import files_of, first_of
from agentgw_daemon.system.changes import would_show
from agentgw_daemon.system.durable import sync_path
from agentgw_daemon.system.json_file import _WRITING, _replace, read_mapping, write_atomically

T = TypeVar("T")

log = logging.getLogger(__name__)

# Kept free beside a download: the database and the log live on the same disk.
SPARE_BYTES: Final = 64 << 20
# An abandoned download is dropped after two weeks.
_STALE_S: Final = 14 * 86400
_PARTIAL: Final = ".partial"
_SCRATCH: Final = "pip-"
_DEFAULT: Final = ".default"


@record
class OriginFile:
    """One of the files of a split model, by its path in the repository."""

    path: str
    size_bytes: int
    sha256: str


@record
class Origin:
    """Origin of a model; size and digest (`part.digest_of`) are those of all its files."""

    name: str
    source: Literal["index", "hub"]
    size_bytes: int
    sha256: str
    pulled_at: str
    licence: str | None = None
    description: str | None = None
    # Of a hub's file.
    owner: str | None = None
    repo: str | None = None
    file: str | None = None
    quant: str | None = None
    # Of a split model, in order.
    files: tuple[OriginFile, ...] = ()

    def answers(self, ref: HubRef) -> bool:
        """Tells whether this file is what `ref` asks for."""
        if (self.owner or "").lower() != ref.owner.lower() or (self.repo or "").lower() != ref.repo.lower():
            return False
        if ref.file:
            return ref.file == self.file or any(ref.file == one.path for one in self.files)
        return ref.quant in (None, self.quant)

    def is_of(self, sizes: Sequence[int]) -> bool:
        """Tells whether files of these sizes can be what was pulled."""
        return tuple(sizes) == (tuple(one.size_bytes for one in self.files) or (self.size_bytes,))


@record
class StoredModel:
    """A model in the folder; `origin` is None for one that somebody put there by hand, and for one of which a file is
    missing. `path` is the first of its files.
    """

    stem: str
    path: Path
    size_bytes: int
    origin: Origin | None
    files: tuple[tuple[Path, int], ...]

    @property
    def name(self) -> str:
        """The model's name: its reference, or its file name without the suffix."""
        return self.origin.name if self.origin else self.stem

    @property
    def is_complete(self) -> bool:
        """Tells whether all files are there that there must be by the name of the first."""
        return len(self.files) == len(files_of(self.path.name))

    def is_called(self, name: str) -> bool:
        """Tells whether this is its name, or that of one of its files without the suffix."""
        return name == self.name or any(name == path.stem for path, _ in self.files)


class ModelFolder:
    """The folder; made when it is missing, if that can be: without it there are no models, and all else works."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.partial = folder / _PARTIAL
        # The name last made the default, as `prepare` found it.
        self.default: str | None = None
        self._scanned: tuple[int, tuple[StoredModel, ...]] | None = None

    def prepare(self) -> None:
        """Makes the folder and drops what an earlier daemon left half done. Once, before anything else."""
        try:
            self.make()
            self._clean()
        except OSError as error:
            log.warning("the models folder %s cannot be written: %s", self.folder, error.strerror or error)
        with contextlib.suppress(OSError, UnicodeDecodeError):
            self.default = (self.folder / _DEFAULT).read_text("utf-8").strip() or None

    def make(self) -> None:
        """Makes what is missing of the folder. Raises OSError."""
        self.partial.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _clean(self) -> None:
        for entry in self.partial.iterdir():
            if entry.name.startswith(_SCRATCH):
                shutil.rmtree(entry, ignore_errors=True)
            elif time.time() - entry.lstat().st_mtime > _STALE_S:
                entry.unlink(missing_ok=True)
        for left in self.folder.glob(f"{_WRITING}*"):
            left.unlink(missing_ok=True)

    def entries(self) -> tuple[StoredModel, ...]:
        """The model files, oldest pull first. Reads the folder again only when it has changed, or may have."""
        looked_at_ns = time.time_ns()
        try:
            changed_ns = self.folder.stat().st_mtime_ns
        except OSError:
            return ()
        if self._scanned is None or self._scanned[0] != changed_ns or not all(map(_same_size, self._scanned[1])):
            found = tuple(self._scan())
            self._scanned = (changed_ns, found) if would_show(changed_ns, looked_at_ns) else None
            return found
        return self._scanned[1]

    def _scan(self) -> Iterator[StoredModel]:
        models: dict[str, list[tuple[Path, int]]] = {}
        for path in sorted(self.folder.glob(f"*{GGUF}")):
            with contextlib.suppress(OSError):  # gone since, or a dangling link
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    models.setdefault(first_of(path.name), []).append((path, status.st_size))
        found = [self._stored(first, files) for first, files in models.items()]
        yield from sorted(found, key=lambda one: (one.origin is None, one.origin.pulled_at if one.origin else ""))

    def _stored(self, first: str, files: Sequence[tuple[Path, int]]) -> StoredModel:
        origin = _read((self.folder / first).with_suffix(".json"), Origin)
        if origin is not None and not origin.is_of([size for _, size in files]):
            origin = None  # another file took its place, or one is missing
        path = files[0][0]
        return StoredModel(
            stem=path.stem, path=path, size_bytes=sum(size for _, size in files), origin=origin, files=tuple(files)
        )

    def part(self, sha256: str) -> Path:
        """The path where the bytes of the file with this digest gather."""
        return self.partial / f"{sha256}.part"

    def free_bytes(self) -> int:
        """Bytes that are free on the folder's disk."""
        return shutil.disk_usage(self.folder).free

    def require_space(self, needed_bytes: int, name: str) -> None:
        """Raises ModelUnavailable when the disk has no room for so many bytes more."""
        free = self.free_bytes()
        if free < needed_bytes + SPARE_BYTES:
            reason = f"needs {_mb(needed_bytes + SPARE_BYTES)} of disk space, {_mb(free)} are free in {self.folder}"
            raise ModelUnavailable(f"{name} {reason}", hint="free some space and pull again", model=name, reason=reason)

    def make_scratch(self) -> Path:
        """A folder for one download by pip; `drop_scratch` it afterwards."""
        return Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=self.partial))

    def drop_scratch(self, folder: Path) -> None:
        """Removes it with all it holds."""
        shutil.rmtree(folder, ignore_errors=True)

    def targets(self, stem: str) -> tuple[Path, ...]:
        """The paths that the files of the model of that name have, or get."""
        return tuple(self.folder / name for name in files_of(f"{stem}{GGUF}"))

    def place(self, parts: Sequence[Path], stem: str, origin: Origin) -> Path:
        """Gives complete, verified files their names; those that have them already stay. Durable when it returns.

        The first file of several comes last and goes first: without it there is no model.
        """
        targets = self.targets(stem)
        moves = [(part, target) for part, target in zip(parts, targets, strict=True) if part != target]
        if len(targets) > 1 and parts[0] != targets[0]:
            targets[0].unlink(missing_ok=True)
        write_atomically(self.folder / f"{stem}.json", dump(origin))
        for part, target in reversed(moves):
            os.replace(part, target)
        sync_path(self.folder)
        self._scanned = None
        return targets[0]

    def remove(self, stem: str) -> None:
        """Deletes all files of the model of that name and its origin; of a link, the link. Never leaves the folder."""
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.unlink(f"{stem}{GGUF}", dir_fd=folder)
            first = first_of(f"{stem}{GGUF}")
            for name in (*files_of(first), f"{first.removesuffix(GGUF)}.json"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
            os.fsync(folder)
        finally:
            os.close(folder)
            self._scanned = None

    def set_default(self, name: str | None) -> None:
        """Remembers what answers when nothing names a model, or forgets it."""
        file = self.folder / _DEFAULT
        if name is None:
            file.unlink(missing_ok=True)
        else:
            _replace(file, f"{name}\n".encode())
        self.default = name

    @property
    def known_file(self) -> Path:
        """The cache of header checks; may be deleted at any time."""
        return self.folder / ".known.json"


def _same_size(one: StoredModel) -> bool:
    """Tells whether no file was written over, which the folder's own time does not tell."""
    try:
        return all(path.stat().st_size == size for path, size in one.files)
    except OSError:
        return False


def _read(path: Path, cls: type[T]) -> T | None:
    try:
        return bind(cls, read_mapping(path))
    except InvalidParams:
        return None


def _mb(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
