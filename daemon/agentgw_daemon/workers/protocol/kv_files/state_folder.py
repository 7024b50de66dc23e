"""The folder of saved keys and values, `<folder>/<model>/<cache scope>-<digest>.kv`: whose is what, and its bound.

The files hold what people wrote, as tokens: they are 0600 in directories of 0700, and those of a cache
scope (a session's or a skill's) are found by their names, so that any process can have one forgotten. Other processes
change the folder at the same time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agentgw_daemon.workers.protocol.kv_files import segment
from agentgw_daemon.workers.protocol.kv_files.state_file import read_header, remove

# As many files as are read at a start and looked through after each write; the oldest of more are removed.
MAX_FILES: Final = 4096
# A file that has been in the making for longer than this is a dead worker's.
_TMP_S: Final = 60.0
# For this long nothing of a forgotten cache scope is saved again: what a worker had in work then.
_FORGOTTEN_S: Final = 3600.0

_CACHE_SCOPE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MODEL: Final = re.compile(r"[0-9a-f]{16}")
_FILE: Final = re.compile(rf"({_CACHE_SCOPE.pattern})-([0-9a-f]{{{2 * segment.DIGEST_BYTES}}})\.kv(\.[0-9]+\.tmp)?")
_FORGOTTEN: Final = ".forgotten"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFile:
    """A file that is called like a segment."""

    path: Path
    cache_scope: str
    digest: bytes
    making: bool  # not yet renamed to its own name
    bytes: int
    mtime_ns: int


def check_cache_scope(cache_scope: str) -> None:
    """Raises ValueError for a name that no cache scope can have."""
    if not _CACHE_SCOPE.fullmatch(cache_scope):
        raise ValueError(f"not a cache scope: {cache_scope!r}")


def model_folder(folder: Path, model_key: str) -> Path:
    """The folder for the states of one model, and of one way to run it."""
    return folder / hashlib.sha256(model_key.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def identity(path: str, *others: str) -> str:
    """An identity that tells the model in these files from others without reading it. Raises OSError."""
    said = []
    for one in (path, *others):
        real = os.path.realpath(one)
        found = os.stat(real)
        said.append(f"{real} {found.st_size} {found.st_mtime_ns}")
    return " ".join(said)


def file_name(cache_scope: str, digest: bytes) -> str:
    """The name of a segment's file."""
    return f"{cache_scope}-{digest.hex()}.kv"


def forget(folder: Path, cache_scope: str) -> int:
    """Remove all files of a cache scope, whatever the model; how many. What a worker has in work for them goes too.

    For any process. Raises ValueError for an impossible name and OSError when one of the files cannot be removed.
    """
    check_cache_scope(cache_scope)
    if not folder.is_dir():
        return 0  # a worker that saves makes it first thing
    # First the mark, then the files: a worker looks for the mark after it has made a file, so one of the two sees it.
    with contextlib.suppress(OSError):  # a disk that is full still lets us remove
        (folder / f"{cache_scope}{_FORGOTTEN}").touch(mode=0o600)
    removed = 0
    failure: OSError | None = None
    for file in _files(folder):
        if file.cache_scope == cache_scope:
            try:
                file.path.unlink()
                removed += not file.making
            except FileNotFoundError:
                continue
            except OSError as error:
                failure = error
    if failure is not None:
        raise failure
    return removed


def is_forgotten(folder: Path, cache_scope: str) -> bool:
    """Tells whether this cache scope's files were removed a short while ago."""
    return os.path.lexists(folder / f"{cache_scope}{_FORGOTTEN}")


def usage(folder: Path) -> tuple[int, int]:
    """Files and bytes of all models."""
    sizes = [file.bytes for file in _files(folder)]
    return len(sizes), sum(sizes)


def scan(models: Path) -> Iterator[tuple[str, segment.SegmentHeader]]:
    """Owner and header of each segment of one model, at most MAX_FILES. Removes what is called so and is none."""
    for count, (entry, named) in enumerate(_named(models)):
        if count >= MAX_FILES:
            return
        if named[3] is None and (header := read_header(Path(entry.path))) is not None:
            if header.digest.hex() == named[2]:
                yield named[1], header
            else:
                remove(Path(entry.path))


def trim(folder: Path, limit_bytes: int) -> list[SegmentFile]:
    """Remove what was used longest ago until the rest is within the limits, and leftovers. The segments removed."""
    now_ns = time.time_ns()
    _sweep_marks(folder, now_ns)
    files = []
    for file in _files(folder):
        if not file.making:
            files.append(file)
        elif now_ns - file.mtime_ns > _TMP_S * 1e9:
            remove(file.path)
    files.sort(key=lambda file: file.mtime_ns)
    total, count = sum(file.bytes for file in files), len(files)
    removed = []
    for file in files:
        if total <= limit_bytes and count <= MAX_FILES:
            break
        remove(file.path)
        removed.append(file)
        total -= file.bytes
        count -= 1
    return removed


def _files(folder: Path) -> Iterator[SegmentFile]:
    for model in _entries(folder):
        if _MODEL.fullmatch(model.name):
            for entry, named in _named(Path(model.path)):
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if not stat.S_ISDIR(found.st_mode):
                    yield SegmentFile(
                        path=Path(entry.path), cache_scope=named[1], digest=bytes.fromhex(named[2]),
                        making=named[3] is not None, bytes=found.st_size, mtime_ns=found.st_mtime_ns,
                    )  # fmt: skip


def _named(models: Path) -> Iterator[tuple[os.DirEntry[str], re.Match[str]]]:
    for entry in _entries(models):
        named = _FILE.fullmatch(entry.name)
        if named is not None:
            yield entry, named


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return


def _sweep_marks(folder: Path, now_ns: int) -> None:
    for entry in _entries(folder):
        if entry.name.endswith(_FORGOTTEN):
            with contextlib.suppress(OSError):
                if now_ns - entry.stat(follow_symlinks=False).st_mtime_ns > _FORGOTTEN_S * 1e9:
                    os.unlink(entry.path)
