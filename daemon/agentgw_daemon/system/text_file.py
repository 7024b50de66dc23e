"""Text files that a user edits: read within bounds, and told apart by what the file system says of them."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from agentgw.protocol.records.schema import record


@record
class Version:
    """Mark that tells one state of the file from another; all zero when there is none."""

    inode: int = 0
    size: int = 0
    mtime_ns: int = 0

    @property
    def written_at(self) -> datetime | None:
        """The time at which this state was written, as the file says."""
        if not self.mtime_ns:
            return None
        try:
            return datetime.fromtimestamp(self.mtime_ns / 1e9, UTC)
        except (OverflowError, ValueError, OSError):
            return None


class UnreadableFile(Exception):
    """Thing that is no text file, or one beyond the bound."""

    def __init__(self, reason: str, version: Version) -> None:
        super().__init__(reason)
        self.version = version


def version_of(path: Path) -> Version:
    """The state the file is in, to see whether it has changed."""
    try:
        return _version(os.stat(path))
    except OSError:
        return Version()


def read_text_file(path: Path, max_bytes: int) -> tuple[Version, str]:
    """The file's text, of UTF-8. Raises Unreadable, and OSError where it cannot be opened or read."""
    # A pipe under this name must not hold us up.
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        version = _version(status)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableFile("is no file", version)
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise UnreadableFile(f"is larger than {max_bytes // 1024} KiB", version)
    try:
        return version, data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(f"is not UTF-8 in line {line}", version) from None


def _version(status: os.stat_result) -> Version:
    return Version(inode=status.st_ino, size=status.st_size, mtime_ns=status.st_mtime_ns)
