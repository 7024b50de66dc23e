"""Opening the files of a skill: only regular files inside their tier that nobody else may write.

A skill is text for a model, so whoever can write the file can speak to the model in the user's name.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from agentgw.protocol.records.schema import record
from agentgw_daemon.skills.model import MAX_SKILL_BYTES


class SourceRefused(Exception):
    """The file or folder may not be used; the message says why."""


@record
class SkillSource:
    """Reader of the files of a tier. With `pinned`, the SHA-256 of each real file, nothing else is ever given."""

    check_owner: bool = True
    pinned: Mapping[Path, str] | None = None

    def read_text(self, path: Path, root: Path) -> str:
        """The text of a file below `root`, at most 64 KiB of UTF-8.

        Symbolic links are followed as long as they end inside `root`. Raises SourceRefused.
        """
        real = inside(path, root)
        check_folder(real.parent, check_owner=self.check_owner)
        try:
            fd = open_file(real)
        except OSError as error:
            raise SourceRefused(f"{path.name}: {reason_of(error)}") from None
        try:
            check_file(os.fstat(fd), path.name, check_owner=self.check_owner)
            data = _read_most(fd, MAX_SKILL_BYTES + 1)
        except OSError as error:
            raise SourceRefused(f"{path.name}: {reason_of(error)}") from None
        finally:
            os.close(fd)
        if len(data) > MAX_SKILL_BYTES:
            raise SourceRefused(f"{path.name} is larger than {MAX_SKILL_BYTES >> 10} KiB")
        if self.pinned is not None and self.pinned.get(real) != hashlib.sha256(data).hexdigest():
            raise SourceRefused(f"{path.name} was changed while it was read")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SourceRefused(f"{path.name} is not UTF-8 (byte {error.start})") from None


def open_file(real: Path) -> int:
    """A descriptor for reading of a path without links. Raises OSError."""
    # O_NONBLOCK: a FIFO must not hold the daemon; O_NOFOLLOW: the path is resolved already.
    return os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY)


def check_file(status: os.stat_result, name: str, *, check_owner: bool = True) -> None:
    """Raises SourceRefused when it is no regular file, or somebody else may write it."""
    if not stat.S_ISREG(status.st_mode):
        raise SourceRefused(f"{name} is not a regular file")
    _check_writers(status, name, check_owner=check_owner)


def _read_most(fd: int, most_bytes: int) -> bytes:
    data = b""
    while len(data) < most_bytes and (piece := os.read(fd, most_bytes - len(data))):
        data += piece
    return data


def inside(path: Path, root: Path) -> Path:
    """`path` with its links resolved. Raises SourceRefused when it is missing or ends outside `root`."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        reason = reason_of(error) if isinstance(error, OSError) else "too many levels of symbolic links"
        raise SourceRefused(f"{path.name}: {reason}") from None
    if not real.is_relative_to(root.resolve()):
        raise SourceRefused(f"{path.name} is a link that leads out of {root}")
    return real


def check_folder(folder: Path, *, check_owner: bool = True) -> None:
    """Raises SourceRefused when `folder` is no directory, or somebody else may put files into it."""
    try:
        status = folder.stat()
    except OSError as error:
        raise SourceRefused(f"{folder}: {reason_of(error)}") from None
    if not stat.S_ISDIR(status.st_mode):
        raise SourceRefused(f"{folder} is not a folder")
    _check_writers(status, f"folder {folder}", check_owner=check_owner)


def _check_writers(status: os.stat_result, what: str, *, check_owner: bool) -> None:
    if status.st_mode & stat.S_IWOTH:
        raise SourceRefused(f"{what} can be written by everybody; chmod o-w it")
    if check_owner and status.st_uid not in (0, os.geteuid()):
        raise SourceRefused(f"{what} belongs to another user (uid {status.st_uid})")


def reason_of(error: OSError) -> str:
    """The system's own words."""
    return (error.strerror or str(error)).lower()
