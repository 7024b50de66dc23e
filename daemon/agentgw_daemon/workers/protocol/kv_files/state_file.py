"""One file of saved keys and values, made, read, touched and removed.

It may be missing, damaged or something else altogether, and other processes change the folder at the same time: what is
no segment is removed, and none of it is an error. Nothing is synced to the disk: it is a cache, and what a power cut
leaves half written is found by its checksum.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from agentgw_daemon.workers.protocol.kv_files import segment

T = TypeVar("T")

# Bytes that the cache leaves free of the disk, for the database and for others.
KEEP_FREE_BYTES: Final = 256 << 20


def read_header(path: Path) -> segment.SegmentHeader | None:
    """The header of the segment in a file; None if it cannot be had. Removes what is no segment."""
    return _look(path, _header)


def read(path: Path, expected: segment.SegmentHeader) -> bytes | None:
    """The payload of a segment known by its header; None if it cannot be had. Removes what is something else."""

    def take(descriptor: int) -> bytes:
        header = _header(descriptor)
        if (header.digest, header.payload_bytes) != (expected.digest, expected.payload_bytes):
            raise segment.DamagedSegment("it is another one")
        payload = _take(descriptor, header.payload_bytes)
        if not segment.is_intact(header, payload):
            raise segment.DamagedSegment("its checksum is wrong")
        return payload

    return _look(path, take)


def write(path: Path, header: segment.SegmentHeader, payload: bytes) -> None:
    """Make the file, and its folder. Raises OSError, and nothing is left then."""
    make_folder(path.parent)
    free = os.statvfs(path.parent)
    if free.f_bavail * free.f_frsize < header.file_bytes + KEEP_FREE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    making = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    remove(making)
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "wb", buffering=0) as file:
            os.fchmod(descriptor, 0o600)
            for part in (segment.encode(header, payload), payload):
                rest = memoryview(part)
                while rest:
                    rest = rest[file.write(rest) :]
        os.rename(making, path)
    except OSError:
        remove(making)
        raise


def touch(chain: list[Path]) -> int:
    """Used just now; how many of the files are there up to the first that is not.

    A parent gets newer than its child, so that what is oldest is never in the middle of a chain.
    """
    now = time.time_ns()
    for age, path in enumerate(chain):
        at = now - 1000 * age  # microseconds, which most file systems can tell apart
        try:
            os.utime(path, ns=(at, at), follow_symlinks=False)
        except FileNotFoundError:
            return age
        except OSError:
            continue
    return len(chain)


def remove(path: Path) -> None:
    """Remove it if it is there; a directory stays, and so does what cannot be removed."""
    with contextlib.suppress(OSError):
        path.unlink()


def make_folder(path: Path) -> None:
    """Make a folder and its parents, 0700. Raises OSError. `makedirs` would make the parents with another mode."""
    try:
        path.mkdir(0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        if path == path.parent:
            raise
        make_folder(path.parent)
        with contextlib.suppress(FileExistsError):
            path.mkdir(0o700)


def _look(path: Path, take: Callable[[int], T]) -> T | None:
    """The value that `take` gives of the open file; None if it cannot. Removes what is Damaged or no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        # A link or a socket. What else stands in the way may pass: too many open files, for one.
        if error.errno in (errno.ELOOP, errno.ENXIO):
            remove(path)
        return None
    try:
        return take(descriptor)
    except segment.DamagedSegment:
        remove(path)
        return None
    except (OSError, MemoryError):
        return None
    finally:
        os.close(descriptor)


def _header(descriptor: int) -> segment.SegmentHeader:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise segment.DamagedSegment("not a file")
    head = _take(descriptor, segment.FIXED_BYTES)
    head += _take(descriptor, segment.header_bytes(head, found.st_size) - len(head))
    return segment.decode(head, found.st_size)


def _take(descriptor: int, length: int) -> bytes:
    """The next `length` bytes, fewer where the file ends."""
    taken = os.read(descriptor, length)
    while len(taken) < length and (more := os.read(descriptor, length - len(taken))):
        taken += more
    return taken
