"""Unix sockets by path: connect, and bind without a moment in which anybody else could."""

from __future__ import annotations

# The client needs no more than the C half of `socket`; the whole brings selectors and a hundred enum members, and
# costs 4 ms of a call's 30.
import _socket
import errno
import os
import struct
import sys

from agentgw.local.directories import advice_about, open_private, private_umask, quoted
from agentgw.protocol.errors import DaemonUnreachable, DirectoryRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Final

    from agentgw.local.paths import Paths

# sockaddr_un.sun_path has 108 bytes on Linux and 104 on macOS, the last one a NUL.
MAX_PATH_BYTES: Final = 103 if sys.platform == "darwin" else 107
# The kernel cuts it to net.core.somaxconn, 4096 where it was looked at.
BACKLOG: Final = 4096
# A full backlog makes connect(2) wait: the daemon lives but accepts nobody.
CONNECT_TIMEOUT_S: Final = 10.0


def connect(path: str) -> _socket.socket | None:
    """A blocking connection, or None when nobody listens there.

    Raises DaemonUnreachable when the listener does not accept, DirectoryRefused when the path cannot be used.
    """
    made = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        # Of the two ways to limit connect(2) this one works here: a non-blocking connect to a full backlog fails at
        # once with EAGAIN instead of going on in the background.
        made.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, _timeval(CONNECT_TIMEOUT_S))
        with _Address(path) as address:
            made.connect(address)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        made.close()
        return None
    except OSError as error:
        made.close()
        raise _unreachable(path, error) from None
    except DirectoryRefused:
        made.close()
        raise
    return made


def connect_own(paths: Paths) -> _socket.socket | None:
    """Connects as `connect` does, to the daemon of these paths; its directory is judged first.

    Nobody else can have put a socket into a directory that is ours and closed to others.
    """
    try:
        os.close(open_private(paths.run_dir))
    except FileNotFoundError:
        return None
    return connect(paths.socket)


def bind_socket(paths: Paths, path: str = "") -> socket.socket:
    """A listening socket at `paths.socket`, or at `path` beside it, in place of whatever dead one is there.

    Made under another name and then renamed: the name is never without a listener and never open to others, not
    even between bind(2) and chmod(2). Who may replace the socket is for the caller to know: the holder of
    `paths.spawn_lock` after a connect that was refused, or the holder of `paths.lock_file`.
    """
    import socket

    path = path or paths.socket
    directory = open_private(paths.run_dir)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    temporary = f".tmp.{os.getpid()}"
    name = os.path.basename(path)
    try:
        _refuse_foreign(path, name, directory)
        # A listener whose name clients cannot reach is of no use, so the final name has to fit as well.
        with _Address(path):
            pass
        # Left by a process of the same pid that was killed between bind and rename.
        _remove(temporary, directory)
        with private_umask(0o177), _Address(os.path.join(paths.run_dir, temporary)) as address:
            listener.bind(address)
        listener.listen(BACKLOG)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException as error:
        listener.close()
        _remove(temporary, directory)
        if isinstance(error, OSError):
            hint = advice_about(error, "")
            raise DirectoryRefused(f"no socket can be made at {path} ({error.strerror})", hint=hint) from None
        raise
    finally:
        os.close(directory)
    return listener


class _Address:
    """The address of a path, whatever its length: a long one goes through a descriptor of its directory."""

    __slots__ = ("_descriptor", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) <= MAX_PATH_BYTES:
            return self._path
        if sys.platform != "linux":
            raise DirectoryRefused(
                f"the socket path {self._path} has more than {MAX_PATH_BYTES} bytes", hint="set a shorter AGENTGW_HOME"
            )
        directory, name = os.path.split(self._path)
        self._descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._descriptor}/{name}"

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def _refuse_foreign(path: str, name: str, directory: int) -> None:
    """Raises DirectoryRefused unless the name is free or a socket of ours."""
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if found.st_mode & 0o170000 != 0o140000:  # S_IFSOCK
        raise DirectoryRefused(f"{path} is there and is not a socket", hint=f"look at it, then run: rm {quoted(path)}")
    if found.st_uid != os.geteuid():
        raise DirectoryRefused(f"{path} belongs to uid {found.st_uid}", hint=f"as its owner run: rm {quoted(path)}")


def _remove(name: str, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return


def _timeval(seconds: float) -> bytes:
    """`struct timeval`, padded as 64-bit systems have it."""
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))


def _unreachable(path: str, error: OSError) -> DaemonUnreachable | DirectoryRefused:
    if error.errno == errno.EAGAIN:
        return DaemonUnreachable(
            f"the daemon accepted no connection within {CONNECT_TIMEOUT_S:g} seconds", hint="see agentgw logs"
        )
    return DirectoryRefused(f"{path} cannot be reached ({error.strerror or error})", hint="see agentgw doctor")
