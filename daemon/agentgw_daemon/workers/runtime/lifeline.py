"""Inside a worker: the way out for its messages, the heartbeat that says it lives, and a process made fit for
strangers' data. Imports the standard library only.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

HEARTBEAT_S: Final = 5.0
_BROKEN: Final = 70  # sysexits.h: internal software error


class Pipe:
    """The way out: whole lines, from any thread. Waits while the daemon does not read."""

    def __init__(self, fd: int) -> None:
        self._fd: Final = fd
        self._lock = threading.Lock()

    def send(self, line: bytes) -> None:
        """Send one line, its newline included."""
        with self._lock:
            try:
                while (written := os.write(self._fd, line)) < len(line):
                    line = line[written:]
            except BrokenPipeError:
                os._exit(0)  # nobody listens any more


class HeartbeatThread(threading.Thread):
    """Beats every few seconds while the main thread is busy, and sleeps without waking otherwise.

    `beat` sends a sign of life with the bytes of memory that the process holds.
    """

    def __init__(self, beat: Callable[[int], object]) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._beat: Final = beat
        self._busy = threading.Event()
        self._idle = threading.Event()

    def run(self) -> None:
        """Beat for as long as the process lives."""
        while True:
            self._busy.wait()
            if not self._idle.wait(HEARTBEAT_S):
                self._beat(resident_bytes())

    def start_beating(self) -> None:
        """The main thread has work."""
        if not self._busy.is_set():
            self._idle.clear()
            self._busy.set()

    def stop_beating(self) -> None:
        """Stops the sign of life: the worker waits for commands."""
        self._busy.clear()
        self._idle.set()


def resident_bytes() -> int:
    """Memory this process holds."""
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * resource.getpagesize()


def harden() -> int:
    """Private files, no core dump of what people wrote, Ctrl-C left to the client. The fd for messages.

    A thread that fails ends the process from now on: the supervisor starts another.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    fd = os.dup(1)
    os.dup2(2, 1)  # what a native library prints becomes log lines
    threading.excepthook = lambda failure: (traceback.print_exception(failure.exc_value), os._exit(_BROKEN))
    return fd


def end_broken() -> NoReturn:
    """End a broken process at once: a normal exit would wait for the reader, which waits for the daemon."""
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(_BROKEN)
