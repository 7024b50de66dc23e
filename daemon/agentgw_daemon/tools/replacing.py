"""Writing files: whole, at once, and only where they were found (TRUST E1, E2).

A file is written beside its place under a name nobody can guess, then renamed onto it; whoever reads meanwhile sees
the old file or the new one. The directory is open throughout, so that a link put in its way changes nothing.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from agentgw.schema import record
from agentgw_daemon.tools.beneath import DIRECTORY, FILE, opened, real_path
from agentgw_daemon.tools.places import MAX_FILE_BYTES, Place, check_directory, check_name
from agentgw_daemon.tools.read_file import is_binary, read_bytes
from agentgw_daemon.tools.tool import CallFailed, ToolContext, visible_path

# A new file is as open as its directory, but for others never writable; our own umask would hide it from everybody.
_NEW_FILE_BITS: Final = 0o644
_NEW_DIRECTORY_BITS: Final = 0o755


@record
class Present:
    """A file as it was found. `text` is None for a file that is not UTF-8 text."""

    text: str | None
    mode: int
    identity: tuple[int, int, int, int]


@contextmanager
def open_parent(place: Place, context: ToolContext, *, make: bool) -> Iterator[int]:
    """The directory a file is to be written in; with `make`, missing ones are made.

    Raises CallFailed when it is outside of every root or not for tools, and OSError.
    """
    if place.root is None:
        roots = ", ".join(visible_path(root) for root in context.roots)
        raise CallFailed(f"{visible_path(place.path)} is outside of where tools may write: {roots or 'nowhere'}")
    if place.path == place.root:
        raise CallFailed(f"{visible_path(place.path)} is a directory")
    check_name(place.path.name)
    name = os.path.dirname(place.name) or "."
    try:
        if make:
            _make_directories(place.root.as_posix(), name, context)
        with opened(place.root, name, DIRECTORY) as fd:
            real = real_path(fd)
            check_directory(real, context)
            if any(part.casefold() == ".git" for part in (*real.parts, place.path.name)):
                # Its hooks and its configuration are commands that run later, without anybody's approval.
                raise CallFailed(f"{visible_path(place.path)} is git's own; use git to change it")
            yield fd
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        raise CallFailed(f"{visible_path(place.path)} goes through a link that leads out of {place.root}") from None


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
    return Present(text=_text(raw), mode=stat.S_IMODE(status.st_mode), identity=_identity(status))


def _text(raw: bytes) -> str | None:
    try:
        return None if is_binary(raw) else raw.decode()
    except UnicodeDecodeError:
        return None


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def replace(parent: int, name: str, content: str, before: Present | None) -> None:
    """Puts `content` under the name, if what is there is still `before`. Raises CallFailed and OSError."""
    raw = content.encode()
    if len(raw) > MAX_FILE_BYTES:
        raise CallFailed(f"{len(raw)} bytes are more than the {MAX_FILE_BYTES} allowed")
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
    if _identity(os.stat(name, dir_fd=parent, follow_symlinks=False)) != before.identity:
        raise CallFailed(f"{visible_path(real_path(parent) / name)} was changed meanwhile; read it again")
    os.rename(scratch, name, src_dir_fd=parent, dst_dir_fd=parent)
