"""A project's skill folders: where they are, and everything in them as one hash. Blocking file work, no database.

A project is the nearest directory at or above the user's with `.agentgw/`, `.agents/` or `.git` in it, never the home
directory or the root. Whoever wrote it may be a stranger, so its skills are names until the user trusts them, and then
exactly the bytes that were hashed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.skills.library import MAX_ENTRIES
from agentgw_daemon.skills.loader import is_yaml
from agentgw_daemon.skills.model import Tier
from agentgw_daemon.skills.source import SourceRefused, check_file, check_folder, inside, open_file, reason_of

# Low to high.
_FOLDERS: Final[tuple[tuple[Tier, tuple[str, str]], ...]] = (
    ("project-agents", (".agents", "skills")),
    ("project", (".agentgw", "skills")),
)
_MARKS: Final = (".agentgw", ".agents")
# A directory, or in a worktree a file.
_GIT: Final = ".git"
# Deeper than anybody works; each level is three looks at the disk.
_MAX_LEVELS: Final = 64
# A turn hashes all of it: 16 MiB take some 15 ms. Skills are texts, and a few scripts or templates beside them.
_MAX_FILES: Final = 2000
_MAX_BYTES: Final = 16 << 20
_MAX_DEPTH: Final = 16
_READ_BYTES: Final = 1 << 18


@record
class Pinned:
    """One file as it was hashed."""

    sha256: str
    size_bytes: int
    executable: bool


@record
class Snapshot:
    """Everything in a project's skill folders. `sha256` is over the names and contents of all of it."""

    sha256: str
    tiers: tuple[tuple[Tier, Path], ...]
    files: Mapping[Path, Pinned]

    def digests(self) -> dict[Path, str]:
        """The digest that each file has to have."""
        return {path: one.sha256 for path, one in self.files.items()}


def find_project(cwd: str, home: Path) -> Path | None:
    """The project that `cwd` is in, without links; None when it is in none, or no absolute path."""
    if not os.path.isabs(cwd) or "\0" in cwd:
        return None
    try:
        here = Path(cwd).resolve()
        limit = home.resolve()
        str(here).encode()
    except (OSError, RuntimeError, UnicodeEncodeError):  # a loop of links; a name that is no text
        return None
    for folder in islice((here, *here.parents), _MAX_LEVELS):
        if folder == limit or folder == folder.parent:
            return None
        if any((folder / mark).is_dir() for mark in _MARKS) or os.path.lexists(folder / _GIT):
            return folder
    return None


def skill_folders(project: Path) -> tuple[tuple[Tier, Path], ...]:
    """The skill folders that are there, lowest first."""
    found = ((tier, project.joinpath(*names)) for tier, names in _FOLDERS)
    return tuple((tier, folder) for tier, folder in found if os.path.lexists(folder))


def skill_names(project: Path) -> tuple[tuple[Tier, Path], ...]:
    """The paths that look like skills by their name alone; nothing is opened, for nobody has agreed to anything
    yet.
    """
    return tuple(
        (tier, path)
        for tier, folder in skill_folders(project)
        for path in sorted(islice(_visible(folder), MAX_ENTRIES))
        if path.is_dir() or path.is_symlink() or is_yaml(path)
    )


def _visible(folder: Path) -> Iterator[Path]:
    try:
        yield from (path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return


def take_snapshot(project: Path) -> Snapshot:
    """The skill folders of a project as they are now.

    Raises SourceRefused with what keeps them from being trusted at all: others may write there, a link leads out,
    something is no file, or there is too much of it.
    """
    hashed = hashlib.sha256()
    walk = _SkillWalk()
    tiers: list[tuple[Tier, Path]] = []
    check_folder(project)
    for tier, folder in skill_folders(project):
        # The parts of the way may be links inside the project, as `.agents/skills` to `.claude/skills`.
        check_folder(inside(folder.parent, project))
        real = inside(folder, project)
        tiers.append((tier, real))
        for kind, name, content in walk.entries(real, real, 0):
            for part in (tier.encode(), kind, name, content):
                # With its length before each part, no two trees give the same bytes.
                hashed.update(len(part).to_bytes(8, "big") + part)
    return Snapshot(sha256=hashed.hexdigest(), tiers=tuple(tiers), files=walk.files)


class _SkillWalk:
    """Goes through folders within the limits and keeps the files' hashes."""

    def __init__(self) -> None:
        self.files: dict[Path, Pinned] = {}
        self._left_bytes = _MAX_BYTES
        self._left_entries = _MAX_FILES

    def entries(self, folder: Path, root: Path, depth: int) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Kind, name below `root` and content of everything in `folder`, in one order. Raises SourceRefused."""
        if depth > _MAX_DEPTH:
            raise SourceRefused(f"{folder} is nested deeper than {_MAX_DEPTH}")
        check_folder(folder)
        try:
            found = sorted(islice(folder.iterdir(), self._left_entries + 1))
        except OSError as error:
            raise SourceRefused(f"{folder}: {reason_of(error)}") from None
        self._left_entries -= len(found)
        if self._left_entries < 0:
            raise SourceRefused(f"{root} holds more than {_MAX_FILES} files")
        for path in found:
            name = os.fsencode(path.relative_to(root))
            status = _look(path)
            if stat.S_ISLNK(status.st_mode):
                # The link's target is hashed where it lies.
                inside(path, root)
                yield b"link", name, os.fsencode(os.readlink(path))
            elif stat.S_ISDIR(status.st_mode):
                yield b"folder", name, b""
                yield from self.entries(path, root, depth + 1)
            else:
                yield b"file", name, bytes.fromhex(self._file(path))

    def _file(self, path: Path) -> str:
        try:
            fd = open_file(path)
        except OSError as error:
            raise SourceRefused(f"{path}: {reason_of(error)}") from None
        try:
            status = os.fstat(fd)
            check_file(status, str(path))
            hashed = hashlib.sha256()
            size = 0
            while piece := os.read(fd, _READ_BYTES):
                size += len(piece)
                self._left_bytes -= len(piece)
                if self._left_bytes < 0:
                    raise SourceRefused(f"the skills take more than {_MAX_BYTES >> 20} MiB")
                hashed.update(piece)
        except OSError as error:
            raise SourceRefused(f"{path}: {reason_of(error)}") from None
        finally:
            os.close(fd)
        executable = bool(status.st_mode & 0o111)
        self.files[path] = Pinned(sha256=hashed.hexdigest(), size_bytes=size, executable=executable)
        return hashed.hexdigest()


def _look(path: Path) -> os.stat_result:
    try:
        return path.lstat()
    except OSError as error:
        raise SourceRefused(f"{path}: {reason_of(error)}") from None
