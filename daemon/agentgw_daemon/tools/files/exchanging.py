"""Two names of a directory that change places in one step, where the system can do that.

A rename takes the place of whatever is under a name at that moment, looked at or not. An exchange hands out what was
there, so that it can still be put back.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import sys
from collections.abc import Callable
from typing import Final

# linux/fs.h RENAME_EXCHANGE and sys/stdio.h RENAME_SWAP.
_EXCHANGE: Final = 2
# The file system, the system or a container's filter has no such thing.
_MISSING: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EPERM})


def exchange(directory: int, one: str, other: str) -> bool:
    """Let two files of the open directory change names; False where that cannot be done. Raises OSError."""
    call = _call()
    if call is None:
        return False
    if call(directory, os.fsencode(one), directory, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _MISSING:
        return False
    raise OSError(number, os.strerror(number), other)


@functools.cache
def _call() -> Callable[[int, bytes, int, bytes, int], int] | None:
    name = "renameatx_np" if sys.platform == "darwin" else "renameat2"
    try:
        found = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (AttributeError, OSError):
        return None
    found.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    found.restype = ctypes.c_int
    made: Callable[[int, bytes, int, bytes, int], int] = found
    return made
