"""Memory of a mapped file that is touched here and there: given back after each use, as it is a cache of the file.

Of a token table a query needs some ten rows, but each touch maps 64 KB around it, so that after some dozens of queries
the whole table counts as this process's memory. Mapped again, a page that the system still has costs a microsecond.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from pathlib import Path
from typing import Final

# A conversion's own key: how much of the file's end is the token table.
TABLE_BYTES: Final = "agentgw.table_bytes"
_DONTNEED: Final = 4  # sys/mman.h of Linux


class MappedTail:
    """The last `tail_bytes` of a file that a library has mapped; nothing where that cannot be found out."""

    def __init__(self, path: str, tail_bytes: int) -> None:
        self._range = _find(path, tail_bytes) if sys.platform == "linux" and tail_bytes > 0 else None

    def drop(self) -> None:
        """Give the pages back; they are read again when they are touched."""
        if self._range is not None:
            start, length = self._range
            ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _DONTNEED)


def _find(path: str, tail_bytes: int) -> tuple[int, int] | None:
    """Address and length of the pages that lie in the tail alone."""
    real = os.path.realpath(path)
    wanted = os.stat(real).st_size - tail_bytes
    for line in Path("/proc/self/maps").read_text(errors="surrogateescape").splitlines():
        # address perms offset dev inode pathname
        fields = line.split(maxsplit=5)
        if len(fields) < 6 or fields[5] != real or "w" in fields[1]:
            continue
        first, last = (int(part, 16) for part in fields[0].split("-"))
        skipped = max(0, wanted - int(fields[2], 16))
        start = first + -(-skipped // mmap.PAGESIZE) * mmap.PAGESIZE
        if start < last:
            return start, last - start
    return None
