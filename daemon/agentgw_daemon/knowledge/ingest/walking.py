"""Walk from the paths somebody named to the files that are to be read. Blocking, for a thread; opens no document.

What is taken of a folder: regular files that nothing leaves out. Left out, and counted, are hidden names, what programs
make (repositories, virtual environments, caches), what ignore files say, keys and passwords, and our own directories.
Links are never followed on the way: folders are opened below their root without any. A link adds nothing, since what it
may lead to is found by itself; where it leads to anything else, that is said.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentgw_daemon.knowledge.ingest.ignoring import Ignoring, ignoring_of
from agentgw_daemon.knowledge.ingest.links import SECRET, SecretFiles, is_below, leads_away, leads_out
from agentgw_daemon.knowledge.ingest.work_trees import CannotHeed
from agentgw_daemon.system.beneath import DIRECTORY, FILE, opened
from agentgw_daemon.tools.files import secret_names
from agentgw_daemon.tools.files.places import check_directory, check_name, denied_identities
from agentgw_daemon.tools.files.walking import SKIPPED_DIRECTORIES, FileIdentity
from agentgw_daemon.tools.tool import CallFailed

if TYPE_CHECKING:
    from agentgw_daemon.knowledge.ingest.forbidden import Forbidden

# A hundred megabytes of names; whoever has more ingests folder by folder.
MAX_FILES: Final = 500_000
# Say of a folder that a program made it: a virtual environment of any name, a cache (bford.info/cachedir).
_MARKS: Final = frozenset({"pyvenv.cfg", "CACHEDIR.TAG"})
# Each may cost milliseconds where a stranger's ignore file is made to.
_CHECK_EVERY: Final = 16
# In the reader's words.
_KINDS: Final = (
    (stat.S_ISFIFO, "is a pipe, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
)

_PASSWORDS: Final = "usually holds passwords; pipe it in under another name if it is to be found"
_LEFT_OUT: Final = "is a link to a file that is left out"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to look at: `source` is its name, `path` where it is opened, free of links; the rest says `stat`.

    `root` is the folder that was named and brought it, the file itself where it was named.
    """

    source: str
    path: str
    root: str
    mtime_ns: int
    size_bytes: int
    identity: FileIdentity
    has_other_names: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """File or folder that was asked for and is not read: it `cannot` be, so that nothing is known of it, or it
    may not.
    """

    source: str
    reason: str
    cannot: bool = False


@dataclass(slots=True)
class Harvest:
    """Files that the paths gave. `roots` are the folders among them, as they were named; not `whole` when there
    is more.
    """

    files: list[FoundFile] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    skipped: int = 0
    whole: bool = True


@dataclass(frozen=True, slots=True)
class _Folder:
    """An open folder: what it is called, its path free of links, and what was named to get there."""

    source: str
    real: str
    fd: int
    root: str


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
        self._environ = forbidden.environ
        self._context = forbidden.context()
        self._denied = denied_identities(self._context)
        self._secrets = SecretFiles(forbidden.own, self._context.home)
        self._check = check
        self._made = Harvest()
        # The folders among the paths, free of links; and links on the way, looked at last: what they lead to may have
        # been found by itself.
        self._roots: list[str] = []
        self._links: list[tuple[str, str]] = []
        self._seen = 0

    def run(self, paths: Sequence[str]) -> Harvest:
        named = list(dict.fromkeys(os.path.normpath(path) for path in paths))
        self._roots = [os.path.realpath(path) for path in named if os.path.isdir(path) and not os.path.islink(path)]
        for path in named:
            try:
                self._take(path)
            except OSError as error:
                self._fail(path, error)
        self._finish()
        return self._made

    def _take(self, path: str) -> None:
        status = os.stat(path)
        real = os.path.realpath(path)
        reason = leads_away(path, real, self._roots, self._context.home)
        if stat.S_ISDIR(status.st_mode):
            if self._is_denied_place(real):
                reason = SECRET
            if reason is None:
                self._made.roots.append(path)
                self._roots.append(real)
                self._folder(path, real)
        else:
            reason = _kind(status.st_mode) or self._secret(path, real) or reason
            if reason is None:
                if status.st_nlink > 1:
                    self._secrets.saw_named(real)
                self._add(path, real, status, path)
        if reason is not None:
            self._refuse(path, reason)

    def _folder(self, root: str, real: str) -> None:
        try:
            waiting = [("", ignoring_of(real, self._exclude, self._environ))]
        except CannotHeed as error:
            self._miss(root, str(error))
            return
        while waiting:
            below, ignoring = waiting.pop()
            source, path = (os.path.join(start, below) if below else start for start in (root, real))
            try:
                with _opened(path, DIRECTORY) as fd:
                    folders = self._enter(_Folder(source, path, fd, root), ignoring)
            except CannotHeed as error:
                self._miss(source, str(error))
            except OSError as error:
                self._fail(source, error)
            else:
                waiting += [(os.path.join(below, name), inside) for name, inside in reversed(folders)]

    def _enter(self, folder: _Folder, ignoring: Ignoring) -> list[tuple[str, Ignoring]]:
        """Takes the files of a folder; gives the folders in it to enter. Raises OSError and CannotHeed."""
        status = os.fstat(folder.fd)
        if (status.st_dev, status.st_ino) in self._denied:
            self._made.skipped += 1
            return []
        entries = sorted(self._stats(folder.fd), key=lambda entry: entry[0])
        if folder.real not in self._roots and any(name in _MARKS for name, _ in entries):
            self._made.skipped += 1
            return []
        inside = ignoring.entering(folder.real, folder.fd)
        return [(name, inside) for name, status in entries if self._keeps(folder, name, status, inside)]

    def _stats(self, fd: int) -> Iterator[tuple[str, os.stat_result]]:
        for name in os.listdir(fd):
            self._check_now_and_then()
            try:
                yield name, os.stat(name, dir_fd=fd, follow_symlinks=False)
            except OSError:
                # Gone since it was listed.
                continue

    def _check_now_and_then(self) -> None:
        self._seen += 1
        if self._seen % _CHECK_EVERY == 0:
            self._check()

    def _keeps(self, folder: _Folder, name: str, status: os.stat_result, ignoring: Ignoring) -> bool:
        """Takes a file; says whether it is a folder to enter."""
        self._check_now_and_then()
        is_directory = stat.S_ISDIR(status.st_mode)
        source, real = os.path.join(folder.source, name), os.path.join(folder.real, name)
        if _is_left_out(name, is_directory=is_directory):
            self._made.skipped += 1
            self._note_secret(real, name, status)
            return False
        if ignoring.leaves_out(real, is_directory=is_directory):
            self._made.skipped += 1
            return False
        if is_directory:
            return True
        if stat.S_ISLNK(status.st_mode):
            self._links.append((source, real))
            return False
        reason = _kind(status.st_mode)
        if reason is not None:
            self._refuse(source, reason)
        elif _holds_key(folder.real, name):
            self._made.skipped += 1
            self._secrets.saw(status)
        else:
            self._add(source, real, status, folder.root)
        return False

    def _note_secret(self, real: str, name: str, status: os.stat_result) -> None:
        if not stat.S_ISDIR(status.st_mode):
            if secret_names.is_denied_file(name) or secret_names.is_asked_for(name):
                self._secrets.saw(status)
        elif secret_names.is_denied_directory(name):
            self._secrets.saw_folder(real)

    def _finish(self) -> None:
        """Takes out what was named twice and what is secret under another name; says where links lead."""
        files = {found.path: found for found in reversed(self._made.files)}
        shared = self._secrets.shared(found.identity for found in files.values() if found.has_other_names)
        for found in files.values():
            if found.identity in shared:
                self._refuse(found.source, shared[found.identity])
        kept = [found for found in self._made.files if files[found.path] is found and found.identity not in shared]
        paths = {found.path for found in kept}
        for source, link in self._links:
            self._judge_link(source, link, paths)
        self._made.files = kept

    def _judge_link(self, source: str, link: str, paths: set[str]) -> None:
        """Refuses a link unless it leads to what was found, or is to a folder that is walked by itself."""
        try:
            real, status = os.path.realpath(link), os.stat(link)
        except OSError as error:
            self._fail(source, error)
            return
        if not any(is_below(real, root) for root in self._roots):
            self._refuse(source, leads_out(real))
        elif stat.S_ISDIR(status.st_mode):
            self._made.skipped += 1
        elif real not in paths:
            self._refuse(source, _kind(status.st_mode) or _LEFT_OUT)

    def _add(self, source: str, real: str, status: os.stat_result, root: str) -> None:
        if len(self._made.files) < MAX_FILES:
            self._made.files.append(_found(source, real, status, root))
        elif self._made.whole:
            self._made.whole = False
            self._miss(os.path.dirname(source), _too_many())

    def _secret(self, path: str, real: str) -> str | None:
        """The reason why a file that was named is not for anybody."""
        name = os.path.basename(real)
        try:
            check_name(name)
        except CallFailed:
            return SECRET
        if self._is_denied_place(os.path.dirname(real)) or _holds_key(os.path.dirname(real), name):
            return SECRET
        if secret_names.is_asked_for(name) or secret_names.is_asked_for(os.path.basename(path)):
            return _PASSWORDS
        return None

    def _is_denied_place(self, real: str) -> bool:
        try:
            check_directory(Path(real), self._context)
        except CallFailed:
            return True
        return False

    def _refuse(self, path: str, reason: str) -> None:
        self._made.failed.append(Failure(path, reason))

    def _miss(self, path: str, reason: str) -> None:
        self._made.failed.append(Failure(path, reason, cannot=True))

    def _fail(self, path: str, error: OSError) -> None:
        self._miss(path, (error.strerror or str(error)).lower())


def _opened(real: str, flags: int) -> AbstractContextManager[int]:
    """A descriptor of a path that is free of links; ELOOP when it is so no more."""
    return opened("/", real.lstrip("/") or ".", flags, links=False)


def _holds_key(folder: str, name: str) -> bool:
    """Tells whether a file whose name leaves it open is a private key. One that cannot be read fails later, by
    itself.
    """
    if not secret_names.may_hold_key(name):
        return False
    try:
        with _opened(os.path.join(folder, name), FILE) as fd:
            return secret_names.PRIVATE_KEY_MARK in os.read(fd, secret_names.PEM_BYTES)
    except OSError:
        return False


def _found(path: str, real: str, status: os.stat_result, root: str) -> FoundFile:
    identity = status.st_dev, status.st_ino
    return FoundFile(path, real, root, status.st_mtime_ns, status.st_size, identity, status.st_nlink > 1)


def _is_left_out(name: str, *, is_directory: bool) -> bool:
    if name.startswith("."):
        return True
    if is_directory:
        return name in SKIPPED_DIRECTORIES or secret_names.is_denied_directory(name)
    return secret_names.is_denied_file(name) or secret_names.is_asked_for(name)


def _kind(mode: int) -> str | None:
    """The reason why nothing can be read of it: what it is in place of a regular file."""
    if stat.S_ISREG(mode):
        return None
    return next((reason for test, reason in _KINDS if test(mode)), "is not a file")


def _too_many() -> str:
    return f"more than {MAX_FILES} files at once; ingest the folders in it one by one"
