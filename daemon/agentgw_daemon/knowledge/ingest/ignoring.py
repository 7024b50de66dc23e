"""Files that .gitignore, .git/info/exclude and `--exclude` leave out of a folder, by git's own rules.

Patterns of a deeper file win over those above it, the last line of a file over those before. A folder that is left out
is not entered, so nothing in it can be taken back. Reads the ignore files and nothing else. One that is there and
cannot be heeded raises `CannotHeed`: what it would leave out must not be taken instead.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from agentgw_daemon.knowledge.ingest.patterns import Patterns, parsed

_GITIGNORE: Final = ".gitignore"
# Files of people have a few hundred lines; each byte costs time for every name in the tree.
MAX_BYTES: Final = 128 << 10
# Of all files that hold in one folder, the same for a file in each folder on a deep way down.
MAX_BYTES_IN_FORCE: Final = 512 << 10
# Of files that are none, git makes none either: links (since 2.32) and what is not there.
_NONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class CannotHeed(Exception):
    """An ignore file is there and its patterns cannot be known. The text says why, in the reader's words."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """Patterns that hold below the directory `base`, which ends in a slash."""

    base: bytes
    patterns: Patterns
    size_bytes: int

    def decide(self, path: bytes, *, is_directory: bool) -> bool | None:
        """True leaves it out, False takes it back, None says nothing."""
        return self.patterns.decide(path[len(self.base) :], is_directory=is_directory)


@dataclass(frozen=True, slots=True)
class Ignoring:
    """The rules that hold in one directory."""

    # From the outermost to the innermost.
    rules: tuple[_Rules, ...]
    excluded: _Rules | None = None

    def leaves_out(self, path: str, *, is_directory: bool) -> bool:
        """Tells whether an absolute path in this directory is left out."""
        raw = os.fsencode(path)
        if self.excluded is not None and self.excluded.decide(raw, is_directory=is_directory):
            return True
        for rules in reversed(self.rules):
            decision = rules.decide(raw, is_directory=is_directory)
            if decision is not None:
                return decision
        return False

    def entering(self, directory: str, fd: int) -> Ignoring:
        """The rules inside `directory`, open as `fd`. Raises CannotHeed."""
        content = _content(_GITIGNORE, fd)
        return self.adding(directory, content) if content else self

    def adding(self, directory: str, content: bytes) -> Ignoring:
        """The rules with those of a file that holds below `directory`. Raises CannotHeed."""
        if sum(rules.size_bytes for rules in self.rules) + len(content) > MAX_BYTES_IN_FORCE:
            raise CannotHeed(f"its ignore files have more than {MAX_BYTES_IN_FORCE >> 10} kB together")
        return Ignoring((*self.rules, _rules(directory, content)), self.excluded)


def ignoring_of(root: str, exclude: Sequence[str]) -> Ignoring:
    """The rules that hold for a folder by where it is: those of the git work tree it is in, and `--exclude`.

    A folder that the work tree itself leaves out was asked for on purpose: then nothing around it counts. Raises
    CannotHeed.
    """
    excluded = _rules(root, b"\n".join(os.fsencode(line) for line in exclude)) if exclude else None
    return Ignoring(_around(root).rules, excluded)


def _around(root: str) -> Ignoring:
    """Rules of the work tree that holds `root`; those in `root` itself are read on entering."""
    way = [root]
    while not os.path.lexists(os.path.join(way[-1], ".git")):
        parent = os.path.dirname(way[-1])
        if parent == way[-1]:
            return Ignoring(())
        way.append(parent)
    top = way[-1]
    info = os.path.join(_git_directory(os.path.join(top, ".git")), "info", "exclude")
    found = Ignoring(())
    if content := _content(info):
        found = found.adding(top, content)
    for directory, inner in zip(way[:0:-1], way[-2::-1], strict=True):
        file = os.path.join(directory, _GITIGNORE)
        if content := _content(file):
            found = found.adding(directory, content)
        if found.leaves_out(inner, is_directory=True):
            return Ignoring(())
    return found


def _git_directory(dot_git: str) -> str:
    """The directory of `info/exclude`: of a linked work tree or a submodule, `.git` is a file that names it."""
    if os.path.isdir(dot_git):
        return dot_git
    said = os.fsdecode(_content(dot_git)).strip()
    if not said.startswith("gitdir:"):
        return dot_git
    found = os.path.join(os.path.dirname(dot_git), said.removeprefix("gitdir:").strip())
    file = os.path.join(found, "commondir")
    common = os.fsdecode(_content(file)).strip()
    return os.path.join(found, common) if common else found


def _rules(directory: str, content: bytes) -> _Rules:
    return _Rules(os.fsencode(os.path.join(directory, "")), Patterns(parsed(content)), len(content))


def _content(path: str, directory: int | None = None) -> bytes:
    """The bytes of a regular file; nothing of any other. Raises CannotHeed."""
    name = os.path.basename(path)
    try:
        # A FIFO of this name must not be waited for.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(path, flags, dir_fd=directory)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return b""
            content = b"".join(_blocks(fd))
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno in _NONE:
            return b""
        raise CannotHeed(f"{name} cannot be read: {(error.strerror or str(error)).lower()}") from error
    if len(content) > MAX_BYTES:
        raise CannotHeed(f"{name} has more than {MAX_BYTES >> 10} kB")
    return content


def _blocks(fd: int) -> Iterator[bytes]:
    """Blocks of a file, up to a little more than is taken."""
    left = MAX_BYTES + 1
    while left and (block := os.read(fd, left)):
        left -= len(block)
        yield block
