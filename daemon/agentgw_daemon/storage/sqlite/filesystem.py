"""Directories and files of the database: modes, durable renames, and which kind of filesystem holds them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MOUNTINFO: Final = Path("/proc/self/mountinfo")

# WAL needs shared memory between processes and locks that work; SQLite says neither holds over a network.
_NETWORK_TYPES: Final = frozenset({"nfs", "nfs4", "cifs", "smbfs", "smb3", "afs", "ncpfs", "9p", "fuse.sshfs"})
# The kernel's own, on this machine: names that are in use are in its memory. FUSE, where a program answers, is not.
_LOCAL_TYPES: Final = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"}
)


def make_directory(path: Path) -> None:
    """Make the directory and its missing parents, each 0700 whatever the umask; leave existing ones alone."""
    missing = [path]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for directory in reversed(missing):
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            continue
        directory.chmod(0o700)  # the umask may have taken bits of the owner


def make_private(path: Path) -> None:
    """Make sure that the file exists with mode 0600. SQLite gives its -wal and -journal the mode of the database."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(fd, 0o600)
    finally:
        os.close(fd)


def size_of(path: Path) -> int:
    """Bytes of the file, 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def filesystem_type(path: Path, mountinfo: str) -> str:
    """The type of the filesystem that holds `path`, by the text of /proc/self/mountinfo; "" when it does not say."""
    best, found = -1, ""
    for line in mountinfo.splitlines():
        # proc(5): id parent major:minor root mount-point options [tags…] - type source super-options
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = Path(_unescape(fields[4]))
        # A later mount on the same point hides the earlier one, hence >=.
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), right.split(" ")[0]
    return found


def is_network(kind: str) -> bool:
    """Tells whether this type of filesystem lives on another machine."""
    return kind in _NETWORK_TYPES


def answers_at_once(kind: str) -> bool:
    """Tells whether a look at the name of an open file waits for nobody on this type of filesystem."""
    return kind in _LOCAL_TYPES


def _unescape(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text
