"""Files below an open directory, never through a link. Standard library only: the search child imports it too."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from agentgw_daemon.tools.files import secret_names

# Folders that programs make and people do not write; named in a listing, not entered.
SKIPPED_DIRECTORIES: Final = frozenset({
    ".git", ".hg", ".svn", "node_modules", ".venv", "venv", "__pycache__", ".mypy_cache", ".pytest_cache",
    ".ruff_cache", ".tox",
})  # fmt: skip
# A descriptor is held for each level.
MAX_DEPTH: Final = 32

FileIdentity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """One name: `path` is relative to where the walk began, `parent` its open directory, valid until the next one."""

    path: str
    name: str
    parent: int
    mode: int
    size_bytes: int

    @property
    def is_directory(self) -> bool:
        """Tells whether it is a directory itself, not a link to one."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Tells whether it is a regular file itself."""
        return stat.S_ISREG(self.mode)


def walk(directory: int, denied: Collection[FileIdentity], *, depth: int = MAX_DEPTH) -> Iterator[DirectoryEntry]:
    """Everything below, a directory before what is in it, sorted by name; nothing that is not for tools.

    Directories that cannot be read are passed over. Stays on the file systems it meets.
    """
    yield from _walk(directory, "", denied, min(depth, MAX_DEPTH))


def _walk(directory: int, prefix: str, denied: Collection[FileIdentity], depth: int) -> Iterator[DirectoryEntry]:
    for name in sorted(os.listdir(directory)):
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except OSError:
            # Gone since it was listed.
            continue
        path = prefix + name
        entry = DirectoryEntry(path, name, directory, status.st_mode, status.st_size)
        if not entry.is_directory:
            if not secret_names.is_denied_file(name):
                yield entry
            continue
        if (status.st_dev, status.st_ino) in denied or secret_names.is_denied_directory(name):
            continue
        yield entry
        if depth > 1 and name not in SKIPPED_DIRECTORIES:
            yield from _enter(entry, denied, depth - 1)


def _enter(entry: DirectoryEntry, denied: Collection[FileIdentity], depth: int) -> Iterator[DirectoryEntry]:
    try:
        fd = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=entry.parent)
    except OSError:
        return
    try:
        status = os.fstat(fd)
        # The entry that was looked at may have been exchanged since.
        if (status.st_dev, status.st_ino) not in denied:
            yield from _walk(fd, entry.path + "/", denied, depth)
    except PermissionError:
        return
    finally:
        os.close(fd)
