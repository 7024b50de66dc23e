"""Racer that exchanges a directory for a link out of the root, again and again."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# linux/fcntl.h and sys/attr.h: both names change at once, so there is always one of the two to meet.
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_libc = ctypes.CDLL(None, use_errno=True)


def exchange(one: Path, other: Path) -> None:
    if sys.platform == "darwin":
        failed = _libc.renamex_np(os.fsencode(one), os.fsencode(other), _RENAME_EXCHANGE)
    else:
        failed = _libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextmanager
def racer(root: Path) -> Iterator[None]:
    """Makes `swap` in turn a directory with a harmless `secret.txt` and a link to `../root-evil`, while the
    block runs.
    """
    swap, other = root / "swap", root / "other"
    swap.mkdir()
    (swap / "secret.txt").write_text("harmless")
    other.symlink_to("../root-evil")
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            exchange(swap, other)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if swap.is_symlink():
            exchange(swap, other)
