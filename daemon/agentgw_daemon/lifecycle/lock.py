"""The lock beside the database: whoever holds it is the daemon of that database.

A flock on an open file, held for the life of the process and gone with it, however it ends. The file's text
is for people and messages only: nobody is ever killed by the pid in it, and nothing trusts it. The file stays
when the daemon goes; removing it would let two processes lock two files of one name.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from typing import Any, Final

from agentgw.local.directories import advice_about
from agentgw.protocol.errors import AlreadyRunning, DirectoryRefused

# A daemon that is just going has replied to its clients and still closes its database.
LEAVING_S: Final = 0.3
_RETRY_PAUSE_S: Final = 0.01
_MAX_TEXT_BYTES: Final = 4096


class DaemonLock:
    """A held lock. `close` gives it up; so does the end of the process."""

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self._fd = fd

    @property
    def in_place(self) -> bool:
        """Tells whether the file of that name is still the one that is locked: if not, a second daemon could start."""
        return _same_file(self._fd, self.path)

    def close(self) -> None:
        """Give the lock up; the text goes first, so that it never names a daemon that is gone."""
        if self._fd < 0:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
        os.close(self._fd)
        self._fd = -1


def acquire(path: str, *, instance: str, version: str, patience_s: float = LEAVING_S) -> DaemonLock:
    """Take the lock, waiting for one who is just leaving.

    Raises AlreadyRunning when another process holds it, DirectoryRefused when the file cannot be locked.
    """
    deadline = time.monotonic() + patience_s
    while True:
        fd = _open(path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_pid(fd)
            os.close(fd)
            if time.monotonic() >= deadline:
                raise _already_running(holder) from None
            time.sleep(_RETRY_PAUSE_S)
            continue
        except OSError as error:
            os.close(fd)
            raise DirectoryRefused(
                f"cannot lock {path}: {error.strerror}", hint="put the data directory on a local file system"
            ) from None
        # Somebody may have removed the file between open and flock: then the lock guards nothing.
        if _same_file(fd, path):
            _write_text(fd, {"pid": os.getpid(), "started": _utc_now(), "version": version, "instance": instance})
            return DaemonLock(path, fd)
        os.close(fd)


def _open(path: str) -> int:
    # O_CLOEXEC is what keeps a worker from holding the lock after its daemon was killed.
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        hint = advice_about(error, "check its owner and mode")
        raise DirectoryRefused(f"cannot open {path}: {error.strerror}", hint=hint) from None


def _same_file(fd: int, path: str) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
        ours = os.fstat(fd)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _write_text(fd: int, text: dict[str, Any]) -> None:
    # A full disk must not keep the daemon from starting: the lock holds without its text.
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(text).encode() + b"\n", 0)


def _read_pid(fd: int) -> int | None:
    try:
        pid = json.loads(os.pread(fd, _MAX_TEXT_BYTES, 0))["pid"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return pid if isinstance(pid, int) else None


def _utc_now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _already_running(pid: int | None) -> AlreadyRunning:
    known = f" (pid {pid})" if pid is not None else ""
    return AlreadyRunning(f"already running{known}", hint="agentgw stop ends it")
