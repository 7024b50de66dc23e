"""The file a download grows in, with the digest of what it holds. Blocking; one owner, one thread at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import trio

BLOCK_BYTES: Final = 1 << 20


class PartialFile:
    """A file that grows at its end. What an earlier try left is taken over and digested on opening.

    `check` is called between blocks and may raise to give up.
    """

    def __init__(self, path: Path, *, most_bytes: int, check: Callable[[], None]) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._digest = hashlib.sha256()
        self.length = 0
        try:
            if os.fstat(self._fd).st_size > most_bytes:
                self.restart()
            while block := os.read(self._fd, BLOCK_BYTES):
                check()
                self._digest.update(block)
                self.length += len(block)
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def sha256(self) -> str:
        """The digest of all bytes up to here."""
        return self._digest.hexdigest()

    def append(self, data: bytes) -> None:
        """Writes at the end. Raises OSError; the length then counts what is really there."""
        view = memoryview(data)
        while view:
            written = os.write(self._fd, view)
            self._digest.update(view[:written])
            self.length += written
            view = view[written:]

    def restart(self) -> None:
        """Empties the file."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._digest = hashlib.sha256()
        self.length = 0

    def sync(self) -> None:
        """Makes the part durable."""
        os.fsync(self._fd)

    def discard(self) -> None:
        """Removes the name; nothing is resumed from it."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go of the file; it stays."""
        os.close(self._fd)


def file_sha256(path: str) -> str:
    """The digest of a file. In one of trio's threads: it ends between blocks when its caller is cancelled."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            trio.from_thread.check_cancelled()
            digest.update(block)
    return digest.hexdigest()


def model_sha256(paths: Sequence[str]) -> str:
    """The digest of a model in these files. In one of trio's threads, like `file_sha256`."""
    return digest_of([file_sha256(path) for path in paths])


def digest_of(sha256s: Sequence[str]) -> str:
    """The digest of a model whose files have these: of one file its own, of several that of the list, one a line."""
    if len(sha256s) == 1:
        return sha256s[0]
    return hashlib.sha256("".join(f"{one}\n" for one in sha256s).encode()).hexdigest()
