"""From the paths somebody named to the files that are to be read. Blocking, for a thread; opens no document.

What is taken of a folder: regular files that nothing leaves out. Left out, and counted, are hidden names, what programs
make (repositories, virtual environments, caches), what ignore files say, keys and passwords, and our own directories.
A link to a folder is not followed, so no loop can be; a link to a file counts as that file, once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentgw_daemon.knowledge.ignoring import Ignoring, ignoring_of
from agentgw_daemon.tools import secret_names
from agentgw_daemon.tools.places import check_directory, check_name, denied_identities
from agentgw_daemon.tools.tool import CallFailed
from agentgw_daemon.tools.walking import SKIPPED_DIRECTORIES

if TYPE_CHECKING:
    from agentgw_daemon.knowledge.forbidden import Forbidden

# A hundred megabytes of names; whoever has more ingests folder by folder.
MAX_FILES: Final = 500_000
# Say of a folder that a program made it: a virtual environment of any name, a cache (bford.info/cachedir).
_MARKS: Final = frozenset({"pyvenv.cfg", "CACHEDIR.TAG"})
_CHECK_EVERY: Final = 256
# In the reader's words.
_KINDS: Final = (
    (stat.S_ISFIFO, "is a pipe, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
)

_SECRET: Final = "holds keys or agentgw's own data"
_PASSWORDS: Final = "usually holds passwords; pipe it in under another name if it is to be found"


@dataclass(frozen=True, slots=True)
class Found:
    """A file to look at: `source` is its name, `path` where it is opened, free of links at its end; the rest is what
    `stat` said.
    """

    source: str
    path: str
    mtime_ns: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that was asked for and cannot be read."""

    source: str
    reason: str


@dataclass(slots=True)
class Harvest:
    """What the paths gave. `roots` are the folders among them, as they were named."""

    files: list[Found] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    skipped: int = 0


def harvest(
    paths: Sequence[str], exclude: Sequence[str], forbidden: Forbidden, *, check: Callable[[], object] = lambda: None
) -> Harvest:
    """All files that the paths, absolute ones, stand for, each once.

    `check` is called now and then, and ends the walk by raising.
    """
    return _Walk(exclude, forbidden, check).run(paths)


class _Walk:
    def __init__(self, exclude: Sequence[str], forbidden: Forbidden, check: Callable[[], object]) -> None:
        self._exclude = exclude
        self._context = forbidden.context()
        self._denied = denied_identities(self._context)
        self._check = check
        self._made = Harvest()
        # Links to files, looked at last: what they lead to may have been found by itself.
        self._links: list[str] = []
        self._seen = 0

    def run(self, paths: Sequence[str]) -> Harvest:
        for path in dict.fromkeys(os.path.normpath(path) for path in paths):
            try:
                self._take(path)
            except OSError as error:
                self._fail(path, error)
        self._once()
        return self._made

    def _take(self, path: str) -> None:
        status = os.stat(path)
        real = os.path.realpath(path)
        if stat.S_ISDIR(status.st_mode):
            if self._is_denied_place(real):
                self._refuse(path, _SECRET)
                return
            self._made.roots.append(path)
            # The walk follows no link, but the root may be one: whoever named it meant where it leads.
            self._folder(path, ignoring_of(path, self._exclude))
            return
        reason = _kind(status.st_mode) or self._secret(path, real)
        if reason is not None:
            self._refuse(path, reason)
        else:
            self._add(path, real, status)

    def _folder(self, root: str, ignoring: Ignoring) -> None:
        waiting = [(root, ignoring)]
        while waiting:
            directory, ignoring = waiting.pop()
            try:
                entries = self._entries(directory, follow=directory == root)
            except OSError as error:
                self._fail(directory, error)
                continue
            names = {entry[0] for entry in entries}
            if directory != root and names & _MARKS:
                self._made.skipped += 1
                continue
            inside = ignoring.entering(directory, names)
            folders = [
                (path, inside)
                for name, status in entries
                if (path := os.path.join(directory, name)) and self._keeps(path, name, status, inside)
            ]
            waiting.extend(reversed(folders))

    def _entries(self, directory: str, *, follow: bool) -> list[tuple[str, os.stat_result]]:
        """Names with what they are, sorted. Raises OSError."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        fd = os.open(directory, flags)
        try:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) in self._denied:
                self._made.skipped += 1
                return []
            return sorted(self._stats(fd), key=lambda entry: entry[0])
        finally:
            os.close(fd)

    def _stats(self, fd: int) -> Iterator[tuple[str, os.stat_result]]:
        for name in os.listdir(fd):
            self._seen += 1
            if self._seen % _CHECK_EVERY == 0:
                self._check()
            try:
                yield name, os.stat(name, dir_fd=fd, follow_symlinks=False)
            except OSError:
                # Gone since it was listed.
                continue

    def _keeps(self, path: str, name: str, status: os.stat_result, ignoring: Ignoring) -> bool:
        """Takes a file; says whether it is a folder to enter."""
        is_directory = stat.S_ISDIR(status.st_mode)
        if _is_left_out(name, is_directory=is_directory) or ignoring.leaves_out(path, is_directory=is_directory):
            self._made.skipped += 1
            return False
        if is_directory:
            return True
        if stat.S_ISLNK(status.st_mode):
            self._links.append(path)
            return False
        reason = _kind(status.st_mode)
        if reason is not None:
            self._refuse(path, reason)
        elif self._holds_key(path, name):
            self._made.skipped += 1
        else:
            self._add(path, path, status)
        return False

    def _once(self) -> None:
        """Adds what links to files lead to, and takes out what was named twice."""
        files = {found.path: found for found in self._made.files}
        roots = {root: os.path.realpath(root) for root in self._made.roots}
        for link in self._links:
            try:
                real, status = os.path.realpath(link), os.stat(link)
            except OSError as error:
                self._fail(link, error)
                continue
            inside = (root + real.removeprefix(true) for root, true in roots.items() if real.startswith(true + "/"))
            if stat.S_ISDIR(status.st_mode) or self._secret(link, real) is not None:
                self._made.skipped += 1
            elif (reason := _kind(status.st_mode)) is not None:
                self._refuse(link, reason)
            elif real not in files and not any(path in files for path in inside):
                files[real] = _found(link, real, status)
        self._made.files = list(files.values())

    def _add(self, path: str, real: str, status: os.stat_result) -> None:
        if len(self._made.files) < MAX_FILES:
            self._made.files.append(_found(path, real, status))
        elif not self._made.failed or self._made.failed[-1].reason != _too_many():
            self._refuse(os.path.dirname(path), _too_many())

    def _secret(self, path: str, real: str) -> str | None:
        """Why a file that was named, or that a link leads to, is not for anybody."""
        name = os.path.basename(real)
        try:
            check_name(name)
        except CallFailed:
            return _SECRET
        if self._is_denied_place(os.path.dirname(real)) or self._holds_key(real, name):
            return _SECRET
        if secret_names.is_asked_for(name) or secret_names.is_asked_for(os.path.basename(path)):
            return _PASSWORDS
        return None

    def _is_denied_place(self, real: str) -> bool:
        try:
            check_directory(Path(real), self._context)
        except CallFailed:
            return True
        return False

    def _holds_key(self, path: str, name: str) -> bool:
        """Whether a file whose name leaves it open is a private key. One that cannot be read fails later, by itself."""
        if not secret_names.may_hold_key(name):
            return False
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            try:
                return secret_names.PRIVATE_KEY_MARK in os.read(fd, secret_names.PEM_BYTES)
            finally:
                os.close(fd)
        except OSError:
            return False

    def _refuse(self, path: str, reason: str) -> None:
        self._made.failed.append(Failure(path, reason))

    def _fail(self, path: str, error: OSError) -> None:
        self._refuse(path, (error.strerror or str(error)).lower())


def _found(path: str, real: str, status: os.stat_result) -> Found:
    return Found(path, real, status.st_mtime_ns, status.st_size)


def _is_left_out(name: str, *, is_directory: bool) -> bool:
    if name.startswith("."):
        return True
    if is_directory:
        return name in SKIPPED_DIRECTORIES or secret_names.is_denied_directory(name)
    return secret_names.is_denied_file(name) or secret_names.is_asked_for(name)


def _kind(mode: int) -> str | None:
    """Why nothing can be read of it: what it is in place of a regular file."""
    if stat.S_ISREG(mode):
        return None
    return next((reason for test, reason in _KINDS if test(mode)), "is not a file")


def _too_many() -> str:
    return f"more than {MAX_FILES} files at once; ingest the folders in it one by one"
