"""The socket's name in the file system: publish it, look at it, take it away.

Only the holder of the daemon's lock has a `SocketName`, so publishing never pushes another daemon of this
database aside. A name that a service manager made is neither removed nor published again: it is the manager's.
Imports nothing heavy: it is needed before the daemon is.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from agentgw.local import sockets
from agentgw.local.paths import Paths
from agentgw.protocol.errors import AlreadyRunning, DaemonUnreachable, DirectoryRefused

log = logging.getLogger(__name__)

# Clients hold the spawn lock for the time of one exec.
_SPAWN_LOCK_S: Final = 0.5
_SPAWN_LOCK_PAUSE_S: Final = 0.01

NameState = Literal["ours", "missing", "dead", "taken", "blocked"]
"""`dead`: a socket nobody listens to. `blocked`: something there that is no socket."""


class SocketName:
    """The path our clients know, and which socket of that name is ours.

    `managed` names belong to a service manager. Methods block for moments, or for 10 s when another daemon
    listens at the path and does not accept.
    """

    def __init__(self, paths: Paths, *, managed: bool = False) -> None:
        self.path = paths.socket
        self.managed = managed
        self._paths = paths
        self._ours = identify(self.path)

    @classmethod
    def bind(cls, paths: Paths) -> tuple[SocketName, socket.socket]:
        """Publish a name for the first time, unless somebody answers there. Raises AlreadyRunning."""
        with _spawn_lock(paths.spawn_lock):
            if (connection := sockets.connect(paths.socket)) is not None:
                connection.close()
                # Not of our database, or its lock would have stopped us.
                raise AlreadyRunning(f"another daemon listens at {paths.socket}", hint="agentgw stop ends it")
            listener = sockets.bind_socket(paths)
            return cls(paths), listener

    def publish(self) -> socket.socket:
        """A new listening socket under the name, in place of a dead one. Raises LocalError."""
        listener = sockets.bind_socket(self._paths)
        self._ours = identify(self.path)
        return listener

    @property
    def is_ours(self) -> bool:
        """Tells whether the name still leads to our socket; costs one stat."""
        return self._ours is not None and identify(self.path) == self._ours

    def look(self) -> NameState:
        """The state of the path at this moment. Connects to a socket that is not ours."""
        if self.is_ours:
            return "ours"
        try:
            found = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return "missing"
        except OSError:
            return "blocked"
        if not stat.S_ISSOCK(found.st_mode):
            return "blocked"
        try:
            connection = sockets.connect(self.path)
        except DaemonUnreachable:
            # A full backlog has a listener.
            return "taken"
        except DirectoryRefused:
            return "blocked"
        if connection is None:
            return "dead"
        connection.close()
        return "taken"

    def touch(self) -> None:
        """Show cleaners that the socket is in use."""
        try:
            os.utime(self.path, follow_symlinks=False)
        except OSError as error:
            log.debug("cannot touch %s: %s", self.path, error.strerror)

    def remove(self) -> bool:
        """Take the name away if it is still ours to take; gives whether it was.

        Under the clients' spawn lock: without it, a client could put its new socket there between our look and
        our unlink. When the lock stays taken the name stays too, which costs the next client a refused connect.
        """
        with _spawn_lock(self._paths.spawn_lock) as held:
            if self.managed or not held or not self.is_ours:
                return False
            try:
                os.unlink(self.path)
            except OSError:
                return False
            return True


def identify(path: str) -> tuple[int, int] | None:
    """Device and inode of the socket at `path`, or None when there is no socket."""
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISSOCK(found.st_mode) else None


@contextmanager
def _spawn_lock(path: str) -> Iterator[bool]:
    """The clients' spawn lock, if it can be had in time: gives whether it is held."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield False
        return
    try:
        yield _locked_in_time(fd)
    finally:
        os.close(fd)


def _locked_in_time(fd: int) -> bool:
    deadline = time.monotonic() + _SPAWN_LOCK_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_SPAWN_LOCK_PAUSE_S)
        except OSError:
            return False
        else:
            return True
