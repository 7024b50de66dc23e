"""Opens what it is told to and nothing that could hurt: regular files only, of a bounded size, whole or not at all.

Paths are free of links: a link found on the way was put there after the path was judged, and is not followed.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import stat
from typing import Final

from agentgw_daemon.system.beneath import FILE, opened
from agentgw_daemon.workers.retrieval.reading.values import Unreadable

_BLOCK_BYTES: Final = 1 << 20
# A regular file that is none: its bytes are made up by the kernel while they are read, and some are secrets.
_KERNEL_TREES: Final = ("/proc", "/sys", "/dev")
_KINDS: Final = (
    (stat.S_ISLNK, "is a symbolic link"),
    (stat.S_ISDIR, "is a directory"),
    (stat.S_ISFIFO, "is a pipe, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
)
_REASONS: Final = {
    errno.ENOENT: "is not there",
    errno.ENOTDIR: "is not there",
    errno.EACCES: "may not be read by you",
    errno.EPERM: "may not be read by you",
    errno.ELOOP: "is a symbolic link, or in a folder that is one",
    errno.ENAMETOOLONG: "has too long a name",
    errno.ENXIO: "is not a file that can be read",
    errno.EISDIR: "is a directory",
}
_CHANGES: Final = "changes while it is read"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FileContents:
    """A file's bytes as they were in one moment."""

    data: bytes
    sha256: str
    mtime_ns: int


class _Changed(Exception):
    """The file that was read is not what lies there afterwards."""


def read_file(path: str, max_bytes: int) -> FileContents:
    """The file, read once more if it changed meanwhile. Raises Unreadable."""
    for _ in range(2):
        try:
            return _read_once(path, max_bytes)
        except _Changed:
            continue
        except OSError as error:
            raise Unreadable(_REASONS.get(error.errno or 0, f"cannot be read ({error.strerror})")) from error
        except ValueError as error:
            raise Unreadable("has a name with a null byte") from error
    raise Unreadable(_CHANGES)


def too_large(size: int, max_bytes: int) -> str:
    """The reason why so many bytes are not read."""
    return f"is too large: {size / 1e6:,.0f} MB; up to {max_bytes / 1e6:,.0f} MB are read"


def _read_once(path: str, max_bytes: int) -> FileContents:
    # Before opening, because opening a device may already do something.
    _refuse_unless_regular(os.stat(path, follow_symlinks=False))
    with opened("/", path.lstrip("/"), FILE, links=False) as fd:
        before = os.fstat(fd)
        _refuse_unless_regular(before)
        if before.st_size > max_bytes:
            raise Unreadable(too_large(before.st_size, max_bytes))
        data, digest = _read_bounded(fd, before.st_size)
        after = os.fstat(fd)
    if after.st_nlink == 0:
        raise _Changed  # deleted or replaced; the second look tells which
    now = os.stat(path, follow_symlinks=False)
    if _state(after) != _state(before) or len(data) != before.st_size or _state(now) != _state(after):
        raise _Changed
    return FileContents(data=data, sha256=digest, mtime_ns=before.st_mtime_ns)


def _refuse_unless_regular(status: os.stat_result) -> None:
    for test, reason in _KINDS:
        if test(status.st_mode):
            raise Unreadable(reason)
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("is not a file")
    if status.st_dev in _kernel_devices():
        raise Unreadable("is made up by the system, not stored")


def _kernel_devices() -> set[int]:
    """The devices where the kernel's trees are mounted; one that is no mount of its own is an ordinary folder."""
    root, made = os.stat("/").st_dev, set()
    for tree in _KERNEL_TREES:
        try:
            device = os.stat(tree).st_dev
        except OSError:
            continue
        if device != root:
            made.add(device)
    return made


def _read_bounded(fd: int, size: int) -> tuple[bytes, str]:
    """The bytes that the file should have, and one more if it has grown."""
    made, digest = bytearray(), hashlib.sha256()
    while len(made) <= size and (block := os.read(fd, min(_BLOCK_BYTES, size + 1 - len(made)))):
        made += block
        digest.update(block)
    return bytes(made), digest.hexdigest()


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
