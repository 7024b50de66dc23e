"""Writing files: whole, at once, and only where they were found.

A file is written beside its place under a name nobody can guess, then renamed onto it; whoever reads meanwhile sees
the old file or the new one. The directory is open throughout, so that a link put in its way changes nothing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.system.beneath import DIRECTORY, FILE, opened, real_path
from agentgw_daemon.tools.files.binary import is_binary
from agentgw_daemon.tools.files.exchanging import exchange
from agentgw_daemon.tools.files.places import (
    MAX_FILE_BYTES,
    Place,
    check_directory,
    check_missing,
    check_name,
    read_bytes,
)
from agentgw_daemon.tools.tool import CallFailed, ToolContext, visible_path

# A new file is as open as its directory, but for others never writable; our own umask would hide it from everybody.
_NEW_FILE_BITS: Final = 0o644
_NEW_DIRECTORY_BITS: Final = 0o755


@record
class Present:
    """A file as it was found. `text` is None for a file that is not UTF-8 text."""

    text: str | None
    sha256: str
    mode: int
    identity: tuple[int, int, int, int]


@contextmanager
def open_parent(place: Place, context: ToolContext, *, make: bool) -> Iterator[int]:
    """The directory a file is to be written in; with `make`, missing ones are made.

    Raises CallFailed when it is outside of every root or not for tools, and OSError.
    """
    root = _root_of(place, context)
    name = os.path.dirname(place.name) or "."
    with _links_out_refused(place):
        if make:
            _make_directories(root.as_posix(), name, context)
        with opened(root, name, DIRECTORY) as fd:
            check_directory(real_path(fd), context)
            _check_git(real_path(fd), place)
            if not os.access(".", os.W_OK | os.X_OK, dir_fd=fd):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place.path.parent))
            yield fd


def real_parent(place: Place, context: ToolContext) -> Path:
    """The directory that a file is to be written in, without links, also when it is still to be made.

    Raises as `open_parent`, and before anything is made.
    """
    root, missing = _root_of(place, context), deque[str]()
    name = os.path.dirname(place.name) or "."
    with _links_out_refused(place):
        while True:
            try:
                with opened(root, name, DIRECTORY) as fd:
                    real = real_path(fd)
                    if missing and not os.access(".", os.W_OK | os.X_OK, dir_fd=fd):
                        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(real))
                break
            except FileNotFoundError:
                name, _, part = name.rpartition("/")
                if not part:
                    raise
                name = name or "."
                missing.appendleft(part)
        check_missing(real, missing, context)
        real = real.joinpath(*missing)
        _check_git(real, place)
    return real


def _root_of(place: Place, context: ToolContext) -> Path:
    if place.root is None:
        roots = ", ".join(visible_path(root) for root in context.roots)
        raise CallFailed(f"{visible_path(place.path)} is outside of where tools may write: {roots or 'nowhere'}")
    if place.path == place.root:
        raise CallFailed(f"{visible_path(place.path)} is a directory")
    check_name(place.path.name)
    return place.root


@contextmanager
def _links_out_refused(place: Place) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        raise CallFailed(f"{visible_path(place.path)} goes through a link that leads out of {place.root}") from None


def _check_git(real: Path, place: Place) -> None:
    if any(part.casefold() == ".git" for part in (*real.parts, place.path.name)):
        # Its hooks and its configuration are commands that run later, without anybody's approval.
        raise CallFailed(f"{visible_path(place.path)} is git's own; use git to change it")


def _make_directories(root: str, name: str, context: ToolContext) -> None:
    parts = [part for part in name.split("/") if part != "."]
    for depth in range(1, len(parts) + 1):
        with opened(root, "/".join(parts[: depth - 1]) or ".", DIRECTORY) as parent:
            try:
                os.stat(parts[depth - 1], dir_fd=parent, follow_symlinks=False)
                continue
            except FileNotFoundError:
                check_directory(real_path(parent) / parts[depth - 1], context, new=True)
            mode = os.fstat(parent).st_mode & _NEW_DIRECTORY_BITS | 0o700
            with suppress(FileExistsError):
                os.mkdir(parts[depth - 1], mode, dir_fd=parent)
                made = os.open(parts[depth - 1], DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
                try:
                    os.fchmod(made, mode)
                finally:
                    os.close(made)


def present(parent: int, name: str) -> Present | None:
    """The file of that name as it is now, or None. Raises CallFailed for what must not be replaced."""
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    shown = visible_path(real_path(parent) / name)
    if stat.S_ISLNK(status.st_mode):
        raise CallFailed(f"{shown} is a link; name the file it leads to")
    if not stat.S_ISREG(status.st_mode):
        raise CallFailed(f"{shown} is not a regular file")
    fd = os.open(name, FILE | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise CallFailed(f"{shown} is not a regular file")
        if status.st_nlink > 1:
            raise CallFailed(f"{shown} has {status.st_nlink} names (hard links); it would change under the others too")
        if not status.st_mode & stat.S_IWUSR:
            raise CallFailed(f"{shown} is read-only")
        if status.st_size > MAX_FILE_BYTES:
            raise CallFailed(f"{shown} has {status.st_size} bytes, more than the {MAX_FILE_BYTES} allowed")
        raw = read_bytes(fd, MAX_FILE_BYTES)
    finally:
        os.close(fd)
    digest = hashlib.sha256(raw).hexdigest()
    return Present(text=_text(raw), sha256=digest, mode=stat.S_IMODE(status.st_mode), identity=_identity(status))


def _text(raw: bytes) -> str | None:
    try:
        return None if is_binary(raw) else raw.decode()
    except UnicodeDecodeError:
        return None


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def encoded(content: str) -> bytes:
    """The content as it is written. Raises CallFailed when it is too large."""
    raw = content.encode()
    if len(raw) > MAX_FILE_BYTES:
        raise CallFailed(f"{len(raw)} bytes are more than the {MAX_FILE_BYTES} allowed")
    return raw


def replace(parent: int, name: str, content: str, before: Present | None) -> None:
    """Puts `content` under the name, if what is there is still `before`. Raises CallFailed and OSError."""
    raw = encoded(content)
    mode = before.mode if before else os.fstat(parent).st_mode & _NEW_FILE_BITS | 0o600
    scratch = f".agentgw-{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(scratch, flags, 0o600, dir_fd=parent), "wb") as file:
        try:
            file.write(raw)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
            _publish(parent, scratch, name, before)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(scratch, dir_fd=parent)
            raise


def _publish(parent: int, scratch: str, name: str, before: Present | None) -> None:
    if before is None:
        # Unlike a rename, a link never takes the place of a file that appeared meanwhile.
        os.link(scratch, name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
        os.unlink(scratch, dir_fd=parent)
        return
    ours = _at(parent, scratch)
    if _at(parent, name) != before.identity:
        raise _changed(parent, name)
    if not exchange(parent, scratch, name):
        os.rename(scratch, name, src_dir_fd=parent, dst_dir_fd=parent)
        return
    if _at(parent, scratch) != before.identity:
        # Somebody was quicker by the length of a system call: theirs goes back, and if they wrote once more onto ours,
        # that goes back instead of what it was written over.
        exchange(parent, scratch, name)
        if _at(parent, scratch) != ours:
            exchange(parent, scratch, name)
        raise _changed(parent, name)
    os.unlink(scratch, dir_fd=parent)


def _at(parent: int, name: str) -> tuple[int, int, int, int]:
    return _identity(os.stat(name, dir_fd=parent, follow_symlinks=False))


def _changed(parent: int, name: str) -> CallFailed:
    return CallFailed(f"{visible_path(real_path(parent) / name)} was changed meanwhile; read it again")
