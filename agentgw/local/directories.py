"""Private directories, made and judged.

Made one level at a time under umask 077: `os.makedirs(path, 0o700)` leaves parents 0777 under umask 0. What we did
not make is never changed, only refused with the command that puts it right.
"""

from __future__ import annotations

import errno
import os

from agentgw.local.environment import Environment
from agentgw.protocol.errors import DirectoryRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentgw.client import Client
    from agentgw.local.paths import Paths


class private_umask:  # noqa: N801  # reads as a function, and contextlib is an import the hot path can do without
    """Within the block files are made for their owner alone, whatever the umask was.

    The umask belongs to the whole process: not for use beside other threads that make files.
    """

    __slots__ = ("_before", "_mask")

    def __init__(self, mask: int = 0o077) -> None:
        self._mask = mask

    def __enter__(self) -> None:
        self._before = os.umask(self._mask)

    def __exit__(self, *_: object) -> None:
        os.umask(self._before)


def refuse_sudo(environment: Environment) -> None:
    """Raises DirectoryRefused under sudo, before a file of root's can be left in the user's home."""
    if os.geteuid() == 0 and environment.sudo_uid not in ("", "0"):
        raise DirectoryRefused("running under sudo would leave files of root's behind", hint="run it without sudo")


def refuse_another_home(client: Client, paths: Paths) -> None:
    """Raises DirectoryRefused, and closes the connection, when the daemon has another database than that of `paths`.

    Two homes can share a runtime directory, and so a socket. What is meant for one must not be stored in the other.
    A socket that a container shares with its host is no second home: there one directory has two paths.
    """
    theirs = data_of_another_home(client, paths)
    if not theirs:
        return
    client.close()
    raise DirectoryRefused(
        f"the daemon at {paths.socket} keeps its data in {theirs}, not in {paths.data_dir}",
        hint="set AGENTGW_HOME, which has a socket of its own, or end that daemon:"
        f" AGENTGW_SOCKET={quoted(paths.socket)} agentgw stop",
    )


def data_of_another_home(client: Client, paths: Paths) -> str:
    """The directory where the daemon keeps its data, unless it is that of `paths`; the daemon has been greeted."""
    theirs = str(client.daemon.get("data_dir", ""))
    if not theirs or theirs == paths.data_dir or os.path.realpath(theirs) == os.path.realpath(paths.data_dir):
        return ""
    mark = client.daemon.get("data_mark")
    return "" if mark and mark == mark_of(paths.data_dir) else theirs


def prepare(paths: Paths) -> None:
    """Makes every directory of `paths` that is missing and judges all of them. Raises DirectoryRefused."""
    if paths.home:
        _prepare_home(paths.home)
    for directory in paths.directories:
        make_private(directory)


def make_private(path: str) -> None:
    """Makes `path` and its missing parents with mode 0700, and judges it. Raises DirectoryRefused."""
    with private_umask():
        _make(path)
    os.close(open_private(path))


def open_private(path: str) -> int:
    """A descriptor of the directory, which is ours and closed to others.

    Raises DirectoryRefused for anything else and FileNotFoundError when there is nothing.
    """
    try:
        # O_NOFOLLOW: a link put there by somebody else would choose where our socket goes.
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _cannot_open(path, error) from None
    try:
        _judge(path, os.fstat(descriptor), 0o077)
    except DirectoryRefused:
        os.close(descriptor)
        raise
    return descriptor


def _prepare_home(home: str) -> None:
    """The directory the user named may be a link and readable by others; what is in it is 0700."""
    with private_umask():
        _make(home)
    try:
        _judge(home, os.stat(home), 0o022)
    except OSError as error:
        raise _cannot_open(home, error) from None


def _make(path: str) -> None:
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    except FileNotFoundError as error:
        parent = os.path.dirname(path)
        if parent == path:
            raise _cannot_make(path, error) from None
        _make(parent)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            return
        except OSError as again:
            raise _cannot_make(path, again) from None
    except OSError as error:
        raise _cannot_make(path, error) from None


def _judge(path: str, found: os.stat_result, forbidden: int) -> None:
    if found.st_mode & 0o170000 != 0o040000:
        raise _not_a_directory(path)
    if found.st_uid != os.geteuid():
        raise DirectoryRefused(
            f"{path} belongs to uid {found.st_uid}",
            hint=f"move it away, or as its owner run: chown {os.geteuid()} {quoted(path)} && chmod 700 {quoted(path)}",
        )
    if found.st_mode & forbidden:
        raise DirectoryRefused(
            f"{path} is open to others (mode {found.st_mode & 0o777:04o})", hint=f"run: chmod 700 {quoted(path)}"
        )


def _cannot_open(path: str, error: OSError) -> DirectoryRefused:
    # A link gives one or the other, by the system.
    if error.errno in (errno.ELOOP, errno.ENOTDIR) and os.path.islink(path):
        return DirectoryRefused(
            f"{path} is a symbolic link",
            hint=f"remove it and run: mkdir {quoted(path)} && chmod 700 {quoted(path)}",
        )
    if error.errno == errno.ENOTDIR:
        return _not_a_directory(path) if os.path.lexists(path) else _cannot_make(path, error)
    otherwise = f"run: chmod 700 {quoted(path)}" if error.errno == errno.EACCES else "set AGENTGW_HOME to a usable one"
    return DirectoryRefused(f"{path} cannot be opened ({error.strerror})", hint=advice_about(error, otherwise))


def advice_about(error: OSError, otherwise: str) -> str:
    """The thing to do about what the system says, where that is about the disk or the process and not the file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space on its disk"
    if error.errno == errno.EROFS:
        return "set AGENTGW_HOME to a directory that can be written"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "too many files are open; raise the limit (ulimit -n) or close some programs"
    return otherwise


def _not_a_directory(path: str) -> DirectoryRefused:
    return DirectoryRefused(
        f"{path} is not a directory",
        hint=f"move it away and run: mkdir {quoted(path)} && chmod 700 {quoted(path)}",
    )


def _cannot_make(path: str, error: OSError) -> DirectoryRefused:
    otherwise = "set AGENTGW_HOME to a directory that can be written"
    if error.errno == errno.ENOTDIR:
        found = path
        while not os.path.lexists(found):
            found = os.path.dirname(found)
        return DirectoryRefused(f"{path} cannot be made: {found} is not a directory", hint=otherwise)
    return DirectoryRefused(f"{path} cannot be made ({error.strerror})", hint=advice_about(error, otherwise))


def mark_of(path: str) -> str:
    """Device and inode of what is there, the same under whatever path. Empty when nothing can be seen there."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def quoted(path: str) -> str:
    """The path as a shell word."""
    import shlex

    return shlex.quote(path)
