"""Opening files that cannot be outside a directory, however names and links change meanwhile.

Linux resolves the whole name itself (openat2 with RESOLVE_BENEATH). Elsewhere the name is walked one component at a
time with O_NOFOLLOW and links are read and followed by hand; every directory on the way is held open, so `..` leads
back where we came from. Both give EXDEV for a name that leads out.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

# The same number on every architecture that Linux has had since 5.6, except Alpha.
_SYS_OPENAT2: Final = 437
# linux/openat2.h
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_NO_SYMLINKS: Final = 0x04
_RESOLVE_BENEATH: Final = 0x08
# A rename anywhere on the way of a `..` makes the kernel give up (openat2(2)); under a storm of them so do we.
_MOST_TRIES: Final = 64
# Links that Linux follows in one name (path_resolution(7)).
MAX_LINKS: Final = 40
# F_GETPATH of macOS fills a buffer of MAXPATHLEN.
_MAC_PATH_BYTES: Final = 1024

DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY
# O_NONBLOCK: opening a FIFO must not wait for somebody at its other end.
FILE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_beneath(root: int, name: str, flags: int, *, links: bool = True) -> int:
    """A descriptor of `name`, a relative path below the directory `root`. Makes no files.

    Raises OSError: EXDEV when the name leads out, ELOOP for any link when `links` is false.
    """
    if has_openat2():
        return open_by_kernel(root, name, flags, links=links)
    return open_by_steps(root, name, flags, links=links)


@contextmanager
def opened(path: str | Path, name: str, flags: int, *, links: bool = True) -> Iterator[int]:
    """`open_beneath` of a root by its path, closed afterwards."""
    root = os.open(path, DIRECTORY | os.O_CLOEXEC)
    try:
        fd = open_beneath(root, name, flags, links=links)
    except OSError as error:
        # Names the file to whoever reads the message.
        raise OSError(error.errno, os.strerror(error.errno or 0), os.path.normpath(os.path.join(path, name))) from None
    finally:
        os.close(root)
    try:
        yield fd
    finally:
        os.close(fd)


@functools.cache
def has_openat2() -> bool:
    """Tells whether the kernel has the call and nothing (a container's seccomp filter) forbids it."""
    if sys.platform != "linux":
        return False
    root = os.open("/", DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(_openat2(root, ".", DIRECTORY | os.O_CLOEXEC, _RESOLVE_BENEATH))
    except OSError:
        return False
    finally:
        os.close(root)
    return True


def open_by_kernel(root: int, name: str, flags: int, *, links: bool = True) -> int:
    """`open_beneath` where the kernel has openat2."""
    resolve = _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS | (0 if links else _RESOLVE_NO_SYMLINKS)
    for _ in range(_MOST_TRIES):
        try:
            return _openat2(root, name, flags | os.O_CLOEXEC, resolve)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EINTR):
                raise
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), name)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _openat2(root: int, name: str, flags: int, resolve: int) -> int:
    raw = os.fsencode(name)
    if b"\0" in raw:
        raise OSError(errno.EINVAL, "a name with a NUL in it")
    how = _OpenHow(flags=flags, mode=0, resolve=resolve)
    fd: int = _libc().syscall(
        ctypes.c_long(_SYS_OPENAT2), ctypes.c_int(root), ctypes.c_char_p(raw), ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )  # fmt: skip
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return fd


def open_by_steps(root: int, name: str, flags: int, *, links: bool = True) -> int:
    """`open_beneath` by walking."""
    # The directories we came through, the present one last.
    way = [os.dup(root)]
    rest = _parts(name)
    followed = 0
    try:
        while True:
            part = rest.popleft() if rest else "."
            if part == "..":
                if len(way) == 1:
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
                os.close(way.pop())
                continue
            kind = DIRECTORY if rest else flags
            try:
                fd = os.open(part, kind | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=way[-1])
            except OSError:
                target = _link(part, way[-1])
                if target is None:
                    raise
                followed += 1
                if not links or followed > MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from None
                rest.extendleft(reversed(_parts(target)))
                continue
            if not rest:
                return fd
            way.append(fd)
    finally:
        for held in way:
            os.close(held)


def _parts(name: str) -> deque[str]:
    if name.startswith("/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
    return deque(part for part in name.split("/") if part not in ("", "."))


def _link(name: str, directory: int) -> str | None:
    """The path to which a link leads, or None for what is not a link."""
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:
        return None


def real_path(fd: int) -> Path:
    """The path of an open file now, free of links. Raises OSError where the system cannot tell."""
    if sys.platform == "darwin":
        import fcntl

        return Path(os.fsdecode(fcntl.fcntl(fd, fcntl.F_GETPATH, bytes(_MAC_PATH_BYTES)).rstrip(b"\0")))
    return Path(os.readlink(f"/proc/self/fd/{fd}"))
