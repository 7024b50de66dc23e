"""Notices that a user is to read once, not at every start: the state folder remembers the words of the last one."""

from __future__ import annotations

import os

from agentgw.local.directories import private_umask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentgw.local.paths import Paths

# Far beyond any notice: a file that somebody else put there is not read whole.
_READ_BYTES = 4096
# Neither follows a link nor waits at a pipe.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def first_time(paths: Paths, name: str, text: str) -> bool:
    """True when the notice `name` was not told with these words yet, and remembers that it is told now.

    A state folder that cannot be read or written tells it again: a notice too many is better than none.
    """
    path = os.path.join(paths.state_dir, f"told-{name}")
    try:
        if _read(path) == text.encode(errors="surrogateescape"):
            return False
        with private_umask():
            descriptor = os.open(path, _WRITE, 0o600)
        try:
            os.write(descriptor, text.encode(errors="surrogateescape"))
        finally:
            os.close(descriptor)
    except OSError:
        return True
    return True


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError:
        return b""
    try:
        return os.read(descriptor, _READ_BYTES)
    finally:
        os.close(descriptor)
