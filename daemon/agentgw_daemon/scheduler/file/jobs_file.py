"""The jobs file on disk: read within bounds, written in one step, and only over what was read.

A link stays a link: what it points to is replaced. The new file is 0600, complete on the disk before it takes the name.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import tzinfo
from pathlib import Path
from typing import Final

from agentgw.protocol.errors import StorageUnavailable
from agentgw.protocol.records.schema import record
from agentgw_daemon.scheduler.file.entries import JobsFileContents, read_entries
from agentgw_daemon.system.durable import sync_path
from agentgw_daemon.system.text_file import UnreadableFile, Version, read_text_file, version_of
from agentgw_daemon.text.yaml_entries import EntryProblem

# 500 jobs with messages of a page each; the parser needs a second for it at worst.
MAX_BYTES: Final = 262_144
# The user may save the file while we edit it: then the edit is made again on what was saved.
_ATTEMPTS: Final = 3
_WRITING: Final = ".jobs-"


@record
class JobsFile:
    """Jobs and problems that were read, and of which state of the file. `text` None when it could not be read."""

    path: Path
    version: Version
    text: str | None
    contents: JobsFileContents

    def problems(self) -> tuple[str, ...]:
        """One line a problem, with file and line."""
        return tuple(f"{self.path}:{found.line}: {found.reason}" for found in self.contents.problems)


def read_jobs(path: Path, *, home: Path, zone: tzinfo) -> JobsFile:
    """The file's jobs; of no file, none. What cannot be read is a problem of the file, never an exception."""
    try:
        version, text = read_text_file(path, MAX_BYTES)
    except FileNotFoundError:
        return JobsFile(path=path, version=Version(), text="", contents=JobsFileContents())
    except UnreadableFile as unreadable:
        return _unread(path, str(unreadable), unreadable.version)
    except OSError as error:
        return _unread(path, os.strerror(error.errno or errno.EIO), Version())
    return JobsFile(path=path, version=version, text=text, contents=read_entries(text, home=home, zone=zone))


def edit_jobs(path: Path, edit: Callable[[str], str]) -> None:
    """Write what `edit` makes of the file's text. Raises what it raises, and StorageUnavailable.

    `edit` is called again when somebody else wrote the file meanwhile. One edit at a time: the caller sees to it.
    """
    # The name of what a link points to; a link to nothing yet is followed too.
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for _ in range(_ATTEMPTS):
            version, text = _editable(target)
            made = edit(text)
            if made == text or _replaced(target, version, made.encode()):
                return
    except OSError as error:
        raise _refused(target, os.strerror(error.errno or errno.EIO)) from None
    raise StorageUnavailable(
        f"{path} is being written by somebody else", hint="try again", reason="it changed each time it was read"
    )


def _unread(path: Path, reason: str, version: Version) -> JobsFile:
    problem = EntryProblem(line=1, reason=f"the file {reason}" if reason.startswith("is ") else reason)
    return JobsFile(path=path, version=version, text=None, contents=JobsFileContents(problems=(problem,)))


def _editable(target: Path) -> tuple[Version, str]:
    try:
        return read_text_file(target, MAX_BYTES)
    except FileNotFoundError:
        return Version(), ""
    except UnreadableFile as unreadable:
        raise _refused(target, str(unreadable)) from None


def _replaced(target: Path, version: Version, data: bytes) -> bool:
    """Replaces the file and tells whether that could be done; not when it is no more the one that was read."""
    if len(data) > MAX_BYTES:
        raise _refused(target, f"would be larger than {MAX_BYTES // 1024} KiB")
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=_WRITING, delete=False) as file:  # mode 0600
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            # Between this look and the rename lies no more than a system call.
            if version_of(target) != version:
                os.unlink(file.name)
                return False
            os.replace(file.name, target)
        except OSError:
            with suppress(FileNotFoundError):
                os.unlink(file.name)
            raise
    sync_path(target.parent)
    return True


def _refused(path: Path, reason: str) -> StorageUnavailable:
    said = f"{path} {reason}" if reason.startswith(("is ", "would ")) else f"{path}: {reason}"
    return StorageUnavailable(said, reason=reason)
