"""Judgement of a file that is to be run as a tool: only what nobody but the user (or root) could have put there."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from agentgw.protocol.records.schema import record

# A wrong folder (a home, a download folder) must not become a hundred processes.
MAX_FILES: Final = 64


class FileRefused(Exception):
    """The file or folder may not be used; the message says why."""


@record
class Stamp:
    """Marks of a file that change when it changes."""

    mtime_ns: int
    size: int
    inode: int


@record
class ToolFile:
    """A file in the tools folder that may be run."""

    path: Path
    stamp: Stamp
    executable: bool


@record
class RefusedFile:
    """A file in the tools folder that may not be run, with the reason."""

    path: Path
    reason: str


def tool_files(folder: Path) -> tuple[tuple[ToolFile, ...], tuple[RefusedFile, ...]]:
    """The folder's files by name: what may be run and what may not. A folder that is missing has none. Blocking.

    Names that begin with `.` or `_` or end with `~` are the user's own affair, and so are folders.
    """
    try:
        entries = sorted(folder.iterdir())
        check_writers(folder.stat(), "the folder")
    except FileNotFoundError:
        return (), ()
    except (OSError, FileRefused) as error:
        return (), (RefusedFile(path=folder, reason=_reason(error)),)
    usable: list[ToolFile] = []
    refused: list[RefusedFile] = []
    for path in entries:
        if path.name.startswith((".", "_")) or path.name.endswith("~") or path.is_dir():
            continue
        try:
            if len(usable) == MAX_FILES:
                raise FileRefused(f"the folder has more than {MAX_FILES} tools")
            usable.append(_examined(path))
        except (OSError, FileRefused) as error:
            refused.append(RefusedFile(path=path, reason=_reason(error)))
    return tuple(usable), tuple(refused)


def _examined(path: Path) -> ToolFile:
    # The real file, and its folder: who can replace either can replace the tool.
    real = path.resolve(strict=True)
    status = real.stat()
    if not stat.S_ISREG(status.st_mode):
        raise FileRefused("is not a regular file")
    check_writers(status, "it")
    check_writers(real.parent.stat(), "its folder")
    executable = os.access(real, os.X_OK)
    if path.suffix != ".py" and not executable:
        raise FileRefused("is neither a .py file nor executable")
    stamp = Stamp(mtime_ns=status.st_mtime_ns, size=status.st_size, inode=status.st_ino)
    return ToolFile(path=path, stamp=stamp, executable=executable)


def check_writers(status: os.stat_result, what: str) -> None:
    """Raises FileRefused when somebody other than the user and root can write there."""
    if status.st_uid not in (0, os.geteuid()):
        raise FileRefused(f"{what} belongs to another user (uid {status.st_uid})")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise FileRefused(f"{what} can be written by others (mode {stat.S_IMODE(status.st_mode):04o}); chmod go-w it")


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
