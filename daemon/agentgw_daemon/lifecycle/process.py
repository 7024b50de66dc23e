"""Put the daemon's own process in order before it serves: undo what it inherited, and close it to others."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import stat
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO, Final

from agentgw.protocol.errors import DirectoryRefused

# linux/prctl.h
_PR_SET_DUMPABLE: Final = 4


def settle(*, own_session: bool) -> None:
    """Standard signals, nothing for others to read, a working directory that cannot vanish, and a session if asked.

    SIGPIPE stays ignored: a reader that goes away is an error of one write. SIGXFSZ too, for the same reason.
    """
    _fill_standard_descriptors()
    _reset_signals()
    # A core file would hold every conversation and the keys of providers.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _close_to_readers()
    os.chdir("/")
    if own_session and os.getsid(0) != os.getpid():
        try:
            os.setsid()
        except PermissionError:
            # A leader of a process group cannot; it is in nobody's foreground either.
            return


def _close_to_readers() -> None:
    """Closes our environment and memory, which hold keys, to programs of the same user, and forbids them to trace us.

    It holds for this process: what it starts is as open as any program, and is given no keys. Linux alone has it.
    """
    if sys.platform != "linux":
        return
    try:
        from ctypes import CDLL
    except ImportError:
        # A Python without it: the keys stay readable to whoever may read them in the user's shell as well.
        return
    CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def leave_out_command_lines() -> None:
    """Keep libraries from bringing their own command lines along, before they are imported.

    httpx imports one with rich and pygments where these happen to be installed, and does without where they are not:
    seventy modules and 3.3 MB of an idle daemon's memory.
    """
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # how Python says: not to be found


def boottime() -> float:
    """Seconds of a clock that nobody sets and that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _fill_standard_descriptors() -> None:
    """Started with 0, 1 or 2 closed, the next file opened would get that number, and stray output with it."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def _reset_signals() -> None:
    kept = {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGKILL, signal.SIGSTOP}
    for number in signal.valid_signals() - kept:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    # Python leaves SIGINT alone when it was started with it ignored, as shells do for background jobs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


@contextlib.contextmanager
def pid_file(path: str) -> Iterator[None]:
    """A file with our pid while the block runs. It informs; nothing of ours ever trusts it.

    Raises DirectoryRefused when it cannot be written.
    """
    ours = f"{os.getpid()}\n".encode()
    try:
        with _opened(path, os.O_WRONLY | os.O_CREAT) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise DirectoryRefused(f"cannot write the pid file {path}: it is there and is no file")
            stream.truncate(0)
            stream.write(ours)
    except OSError as error:
        raise DirectoryRefused(f"cannot write the pid file {path}: {error.strerror}") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            with _opened(path, os.O_RDONLY) as stream:
                found = stream.read(len(ours) + 1)
            if found == ours:
                os.unlink(path)


def _opened(path: str, flags: int) -> BinaryIO:
    """The file, which is waited for in no case: there may be a pipe of that name."""
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
    return open(fd, "rb" if flags == os.O_RDONLY else "wb")
