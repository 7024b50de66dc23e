"""Opening the files of a skill: only regular files inside their tier that nobody else may write.

A skill is text for a model, so whoever can write the file can speak to the model in the user's name.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from agentgw_daemon.skills.model import MAX_SKILL_BYTES


class SourceRefused(Exception):
    """The file or folder may not be used; the message says why."""


def read_text(path: Path, root: Path, *, check_owner: bool = True) -> str:
    """The text of a file below `root`, at most 64 KiB of UTF-8.

    Symbolic links are followed as long as they end inside `root`. Raises SourceRefused.
    """
    real = inside(path, root)
    check_folder(real.parent, check_owner=check_owner)
    try:
        # O_NONBLOCK: a FIFO must not hold the daemon; O_NOFOLLOW: the path is resolved already.
        fd = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise SourceRefused(f"{path.name}: {_reason(error)}") from None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise SourceRefused(f"{path.name} is not a regular file")
        _check_writers(status, path.name, check_owner=check_owner)
        data = _read_most(fd, MAX_SKILL_BYTES + 1)
    except OSError as error:
        raise SourceRefused(f"{path.name}: {_reason(error)}") from None
    finally:
        os.close(fd)
    if len(data) > MAX_SKILL_BYTES:
        raise SourceRefused(f"{path.name} is larger than {MAX_SKILL_BYTES >> 10} KiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceRefused(f"{path.name} is not UTF-8 (byte {error.start})") from None


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
        reason = _reason(error) if isinstance(error, OSError) else "too many levels of symbolic links"
        raise SourceRefused(f"{path.name}: {reason}") from None
    if not real.is_relative_to(root.resolve()):
        raise SourceRefused(f"{path.name} is a link that leads out of {root}")
    return real


def check_folder(folder: Path, *, check_owner: bool = True) -> None:
    """Raises SourceRefused when `folder` is no directory, or somebody else may put files into it."""
    try:
        status = folder.stat()
    except OSError as error:
        raise SourceRefused(f"{folder}: {_reason(error)}") from None
    if not stat.S_ISDIR(status.st_mode):
        raise SourceRefused(f"{folder} is not a folder")
    _check_writers(status, f"folder {folder}", check_owner=check_owner)


def _check_writers(status: os.stat_result, what: str, *, check_owner: bool) -> None:
    if status.st_mode & stat.S_IWOTH:
        raise SourceRefused(f"{what} can be written by everybody; chmod o-w it")
    if check_owner and status.st_uid not in (0, os.geteuid()):
        raise SourceRefused(f"{what} belongs to another user (uid {status.st_uid})")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
