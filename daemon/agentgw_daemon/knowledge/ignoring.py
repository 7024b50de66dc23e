"""What .gitignore files, .git/info/exclude and `--exclude` leave out of a folder, by git's own rules.

Patterns of a deeper file win over those above it, the last line of a file over those before. A folder that is left out
is not entered, so nothing in it can be taken back. Reads the ignore files and nothing else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pathspec import GitIgnoreSpec

_GITIGNORE: Final = ".gitignore"
# Files of people have a few hundred lines; each costs time for every name in the tree.
_MAX_BYTES: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class _Rules:
    """Patterns that hold below the directory `base`, which ends in a slash."""

    base: str
    spec: GitIgnoreSpec

    def decide(self, path: str) -> bool | None:
        """True leaves it out, False takes it back, None says nothing. A directory's path ends in a slash."""
        return self.spec.check_file(path.removeprefix(self.base)).include


@dataclass(frozen=True, slots=True)
class Ignoring:
    """The rules that hold in one directory."""

    # From the outermost to the innermost.
    rules: tuple[_Rules, ...]
    excluded: _Rules | None = None

    def leaves_out(self, path: str, *, is_directory: bool) -> bool:
        """Whether an absolute path in this directory is left out."""
        if is_directory:
            path += "/"
        if self.excluded is not None and self.excluded.decide(path):
            return True
        for rules in reversed(self.rules):
            decision = rules.decide(path)
            if decision is not None:
                return decision
        return False

    def entering(self, directory: str, names: Iterable[str]) -> Ignoring:
        """The rules inside `directory`, whose entries are `names`."""
        if _GITIGNORE not in names:
            return self
        added = _read(os.path.join(directory, _GITIGNORE), directory)
        return self if added is None else Ignoring((*self.rules, added), self.excluded)


def ignoring_of(root: str, exclude: Sequence[str]) -> Ignoring:
    """The rules that hold for a folder by where it is: those of the git work tree it is in, and `--exclude`.

    A folder that the work tree itself leaves out was asked for on purpose: then nothing around it counts.
    """
    excluded = _Rules(_slashed(root), _spec(exclude)) if exclude else None
    above = Ignoring(tuple(_around(root)))
    if above.leaves_out(root, is_directory=True):
        above = Ignoring(())
    return Ignoring(above.rules, excluded)


def _around(root: str) -> Iterable[_Rules]:
    """Rules of the work tree that holds `root`, the outermost first; those in `root` itself are read on entering."""
    way = [root]
    while not os.path.lexists(os.path.join(way[-1], ".git")):
        parent = os.path.dirname(way[-1])
        if parent == way[-1]:
            return
        way.append(parent)
    top = way[-1]
    info = os.path.join(_git_directory(os.path.join(top, ".git")), "info", "exclude")
    yield from filter(None, (_read(info, top), *(_read(os.path.join(one, _GITIGNORE), one) for one in way[:0:-1])))


def _git_directory(dot_git: str) -> str:
    """Where `info/exclude` is: of a linked work tree or a submodule, `.git` is a file that says so."""
    if os.path.isdir(dot_git):
        return dot_git
    said = _content(dot_git).strip()
    if not said.startswith("gitdir:"):
        return dot_git
    found = os.path.join(os.path.dirname(dot_git), said.removeprefix("gitdir:").strip())
    common = _content(os.path.join(found, "commondir")).strip()
    return os.path.join(found, common) if common else found


def _read(path: str, base: str) -> _Rules | None:
    lines = _content(path).splitlines()
    return _Rules(_slashed(base), _spec(lines)) if lines else None


def _content(path: str) -> str:
    """The text of a small regular file; nothing of any other."""
    try:
        # A FIFO of this name must not be waited for.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return os.fsdecode(os.read(fd, _MAX_BYTES))
    except OSError:
        return ""
    finally:
        os.close(fd)


def _spec(lines: Sequence[str]) -> GitIgnoreSpec:
    """The patterns of the lines; a line that is none is passed over, as git does."""
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        return GitIgnoreSpec.from_lines([line for line in lines if _is_pattern(line)])


def _is_pattern(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


def _slashed(directory: str) -> str:
    return directory if directory.endswith("/") else directory + "/"
