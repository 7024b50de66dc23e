"""Files that .gitignore, git's other files of patterns and `--exclude` leave out of a folder, by git's own rules.

Patterns of a deeper file win over those above it, the last line of a file over those before. A folder that is left out
is not entered, so nothing in it can be taken back. Reads the ignore files and nothing else. One that is there and
cannot be heeded raises `CannotHeed`: what it would leave out must not be taken instead.
"""

from __future__ import annotations

import codecs
import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Final

from agentgw_daemon.knowledge.ingest.patterns import Patterns, parsed
from agentgw_daemon.knowledge.ingest.work_trees import CannotHeed, WorkTrees, content_of, is_real_top, is_top

_GITIGNORE: Final = ".gitignore"
# Of all files that hold in one folder, the same as one file in each folder on a deep way down may have.
MAX_BYTES_IN_FORCE: Final = 512 << 10
# Git takes such a file for patterns that fit nothing; whoever wrote it meant others.
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclasses.dataclass(frozen=True, slots=True)
class _Rules:
    """Patterns that hold below the directory `base`, which ends in a slash."""

    base: bytes
    patterns: Patterns
    size_bytes: int

    def decide(self, path: bytes, *, is_directory: bool) -> bool | None:
        """True leaves it out, False takes it back, None says nothing."""
        return self.patterns.decide(path[len(self.base) :], is_directory=is_directory)


@dataclasses.dataclass(frozen=True, slots=True)
class Ignoring:
    """The rules that hold in one directory."""

    trees: WorkTrees
    # From the outermost to the innermost.
    rules: tuple[_Rules, ...] = ()
    excluded: _Rules | None = None
    # Of the work tree that it is in: a setting of those made where file systems do not tell names apart by case.
    any_case: bool = False

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
        inside = self.in_tree(directory) if is_top(directory) else self
        content = content_of(_GITIGNORE, fd)
        return inside.adding(directory, content) if content else inside

    def in_tree(self, top: str) -> Ignoring:
        """The rules with those of the work tree whose top is `top`, its ignore files aside. Raises CannotHeed."""
        own = self.trees.rules_of(top)
        made = dataclasses.replace(self, any_case=own.any_case)
        for content in own.contents:
            made = made.adding(top, content)
        return made

    def adding(self, directory: str, content: bytes) -> Ignoring:
        """The rules with those of a file that holds below `directory`. Raises CannotHeed."""
        if content.startswith(_WIDE):
            raise CannotHeed("its ignore file is in UTF-16, which git does not read; save it as UTF-8")
        if sum(rules.size_bytes for rules in self.rules) + len(content) > MAX_BYTES_IN_FORCE:
            raise CannotHeed(f"its ignore files have more than {MAX_BYTES_IN_FORCE >> 10} kB together")
        made = _rules(directory, content, any_case=self.any_case)
        return dataclasses.replace(self, rules=(*self.rules, made))


def ignoring_of(root: str, exclude: Sequence[str], environ: Mapping[str, str]) -> Ignoring:
    """The rules that hold for a folder by where it is: those of the git work tree it is in, and `--exclude`.

    A folder that the work tree itself leaves out was asked for on purpose: then nothing around it counts. `environ` is
    that of the person whose settings of git hold. Raises CannotHeed.
    """
    excluded = _rules(root, b"\n".join(os.fsencode(line) for line in exclude)) if exclude else None
    return dataclasses.replace(_around(root, Ignoring(WorkTrees(environ))), excluded=excluded)


def _around(root: str, nothing: Ignoring) -> Ignoring:
    """Rules of the work tree that holds `root`; those in `root` itself are read on entering."""
    way = [root]
    while not (is_top(way[-1]) and is_real_top(way[-1])):
        parent = os.path.dirname(way[-1])
        if parent == way[-1]:
            break
        way.append(parent)
    outside = [directory for directory in way if is_top(directory)]
    if not outside:
        return nothing
    found, inner = nothing, way[: way.index(outside[-1]) + 1]
    for directory, below in zip(inner[:0:-1], inner[-2::-1], strict=True):
        if directory in outside:
            found = found.in_tree(directory)
        if content := content_of(os.path.join(directory, _GITIGNORE)):
            found = found.adding(directory, content)
        if found.leaves_out(below, is_directory=True):
            return nothing
    return found


def _rules(directory: str, content: bytes, *, any_case: bool = False) -> _Rules:
    patterns = Patterns(parsed(content, any_case=any_case))
    return _Rules(os.fsencode(os.path.join(directory, "")), patterns, len(content))
