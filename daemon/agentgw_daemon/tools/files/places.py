"""Opening of a path in a tool's arguments, as a file that a tool may have.

The rule in one paragraph. A path is made absolute and `..` is taken out of it as text; so it is inside a root or not.
Inside, it is opened so that no link leads out of that root. Outside, somebody has been asked about exactly this
path, so no link is followed at all. What was opened is then judged by what it really is: our own directories and keys
are refused either way.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import trio

from agentgw.protocol.records.schema import record
from agentgw_daemon.system.beneath import DIRECTORY, FILE, opened, real_path
from agentgw_daemon.text.visible import visible_line
from agentgw_daemon.tools.files import secret_names
from agentgw_daemon.tools.tool import Arguments, CallFailed, ToolContext, ToolSpec, visible_path

# Kernel interfaces that look like files: /proc/self/environ is our environment with its keys.
_SYSTEM_DENIED: Final = (Path("/proc"), Path("/sys"), Path("/dev"))
_HOME_DENIED: Final = (".ssh", ".gnupg")
# Text files of people are smaller, and a thread reads so much in a few milliseconds.
MAX_FILE_BYTES: Final = 16 << 20
_BLOCK_BYTES: Final = 1 << 20


@record
class Place:
    """A path as asked for: absolute and without `..`; `root` is the innermost root it is in, if any."""

    path: Path
    root: Path | None

    @property
    def base(self) -> Path:
        """The directory that it is opened from."""
        return self.root or Path("/")

    @property
    def name(self) -> str:
        """The path relative to `base`."""
        return str(self.path.relative_to(self.base))


def roots_of(asked: Sequence[str], cwd: str | Path, home: str) -> tuple[Path, ...]:
    """The directories that tools may read in: those of the configuration, or the turn's own; free of links.

    Does I/O. A configured one that does not exist is left out.
    """
    if not asked:
        return (Path(os.path.realpath(cwd)),)
    found = (os.path.realpath(_expanded(root, home)) for root in asked)
    return tuple(dict.fromkeys(Path(root) for root in found if os.path.isdir(root)))


def denied_of(directories: Sequence[str]) -> tuple[Path, ...]:
    """Our own directories (`Paths.directories`) as `ToolContext.denied` wants them. Does I/O."""
    return tuple(dict.fromkeys(Path(os.path.realpath(one)) for one in directories))


def place_of(path: str, context: ToolContext) -> Place:
    """The place of a path, by its text alone. Raises CallFailed when it is no path."""
    if not path or "\0" in path:
        raise CallFailed("path: must be a path")
    whole = Path(os.path.normpath(os.path.join(context.cwd, _expanded(path, context.home))))
    # POSIX leaves the meaning of two slashes at the beginning open, and normpath keeps them.
    whole = Path("/", *whole.parts[1:])
    inside = [root for root in context.roots if whole.is_relative_to(root)]
    return Place(path=whole, root=max(inside, key=lambda root: len(root.parts), default=None))


def _expanded(path: str, home: str) -> str:
    return home + path[1:] if home and (path == "~" or path.startswith("~/")) else path


def needs_approval(spec: ToolSpec, context: ToolContext, arguments: Arguments) -> bool:
    """Tells whether somebody must agree to this call: all but those that do nothing or read ordinary files in the
    roots.

    Raises CallFailed for a path that is none. Does no I/O: what the names lead to is held to it when they are opened.
    """
    if spec.effect == "none":
        return False
    if spec.effect != "read":
        return True
    places = [place_of(str(arguments.get(name, ".")), context) for name in spec.paths]
    return any(place.root is None or secret_names.is_asked_for(place.path.name) for place in places)


@contextmanager
def open_file(place: Place, context: ToolContext, *, max_bytes: int = MAX_FILE_BYTES) -> Iterator[int]:
    """A descriptor of a regular file, open for reading. Raises CallFailed and OSError."""
    with _opened(place, FILE) as fd:
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            raise CallFailed(f"{visible_path(place.path)} is a directory; use list_files")
        if not stat.S_ISREG(status.st_mode):
            raise CallFailed(f"{visible_path(place.path)} is not a regular file")
        _judge(fd, place, context)
        if status.st_size > max_bytes:
            raise CallFailed(
                f"{visible_path(place.path)} has {status.st_size} bytes, more than the {max_bytes} allowed"
            )
        yield fd


def read_bytes(fd: int, max_bytes: int) -> bytes:
    """The whole file. Raises CallFailed when it is larger, also when it grows while it is read."""
    made = bytearray()
    while block := os.read(fd, _BLOCK_BYTES):
        trio.from_thread.check_cancelled()
        made += block
        if len(made) > max_bytes:
            raise CallFailed(f"the file has more than the {max_bytes} bytes allowed")
    return bytes(made)


@contextmanager
def open_directory(place: Place, context: ToolContext) -> Iterator[int]:
    """A descriptor of a directory. Raises CallFailed and OSError."""
    with _opened(place, DIRECTORY) as fd:
        _judge(fd, place, context)
        yield fd


@contextmanager
def open_any(place: Place, context: ToolContext) -> Iterator[int]:
    """A descriptor of a directory or a regular file. Raises CallFailed and OSError."""
    with _opened(place, FILE) as fd:
        mode = os.fstat(fd).st_mode
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            raise CallFailed(f"{visible_path(place.path)} is neither a file nor a directory")
        _judge(fd, place, context)
        yield fd


@contextmanager
def _opened(place: Place, flags: int) -> Iterator[int]:
    try:
        with opened(place.base, place.name, flags, links=place.root is not None) as fd:
            yield fd
    except OSError as error:
        # A socket, or a device without a driver, cannot be opened as a file at all.
        if error.errno == errno.ENXIO:
            raise CallFailed(f"{visible_path(place.path)} is not a regular file") from None
        if error.errno == errno.EXDEV:
            text = f"{visible_path(place.path)} is a link that leads out of {place.root}; name the file it leads to"
            raise CallFailed(text) from None
        if error.errno == errno.ELOOP and place.root is None:
            real = visible_line(os.path.realpath(place.path))
            raise CallFailed(
                f"{visible_path(place.path)} goes through a link; outside of the roots name {real}"
            ) from None
        raise


def denied_identities(context: ToolContext) -> frozenset[tuple[int, int]]:
    """Device and inode of every directory below which nothing is for tools."""
    found = set()
    for path in (*context.denied, *_SYSTEM_DENIED, *(Path(context.home or "/", name) for name in _HOME_DENIED)):
        try:
            status = os.stat(path)
        except OSError:
            # Not there, or not for us either: then nothing below it can be opened.
            continue
        found.add((status.st_dev, status.st_ino))
    return frozenset(found)


def _judge(fd: int, place: Place, context: ToolContext) -> None:
    """Raises CallFailed when what was opened is not for tools, by whatever name it was reached."""
    real = real_path(fd)
    check_directory(real if stat.S_ISDIR(os.fstat(fd).st_mode) else real.parent, context)
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        return
    check_name(real.name)
    if secret_names.may_hold_key(real.name) and secret_names.PRIVATE_KEY_MARK in os.pread(
        fd, secret_names.PEM_BYTES, 0
    ):
        raise _denied(real)
    if secret_names.is_asked_for(real.name) and not secret_names.is_asked_for(place.path.name):
        raise CallFailed(f"{visible_path(place.path)} is a link to {visible_path(real)}; name that file itself")


def check_directory(real: Path, context: ToolContext, *, new: bool = False) -> None:
    """Raises CallFailed for a directory, by its path without links, that is not for tools.

    With `new` it is one that is still to be made.
    """
    denied = denied_identities(context)
    for one in (real, *real.parents):
        if secret_names.is_denied_directory(one.name) or one in context.denied:
            raise _denied(real)
        if new and one == real:
            continue
        try:
            status = os.stat(one, follow_symlinks=False)
        except OSError:
            # Gone meanwhile: whether it was one of ours can no longer be told.
            raise _denied(real) from None
        if (status.st_dev, status.st_ino) in denied:
            raise _denied(real)


def check_missing(real: Path, parts: Iterable[str], context: ToolContext) -> None:
    """Raises CallFailed when the directory, or one that is still to be made below it, is not for tools."""
    check_directory(real, context)
    for part in parts:
        real /= part
        if secret_names.is_denied_directory(part) or real in context.denied:
            raise _denied(real)


def check_name(name: str) -> None:
    """Raises CallFailed for the name of a file that is not for tools."""
    if secret_names.is_denied_file(name):
        raise _denied(Path(name))


def _denied(path: Path) -> CallFailed:
    return CallFailed(f"{visible_path(path)} holds keys or agentgw's own data: no tool may touch it")
