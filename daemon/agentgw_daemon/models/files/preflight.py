"""Examination of a model file, in a child process that may hang or crash instead of the daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import trio

from agentgw.protocol.errors import InvalidParams, ModelUnavailable
from agentgw.protocol.records.schema import bind, dump, record
from agentgw_daemon.models.names.shards import files_of, first_of
from agentgw_daemon.system.child_environment import worker_environment
from agentgw_daemon.system.json_file import read_mapping, write_atomically

# The child limits itself to 5 s of processor time; a slow disk may take longer. 30 ms is usual.
TIMEOUT_S: Final = 10.0
# More files than anybody switches between.
_MAX_KNOWN: Final = 256


@record
class ModelHeader:
    """Head of a model file, as the file tells it."""

    architecture: str
    has_chat_template: bool
    name: str | None = None
    n_ctx_train_tokens: int | None = None
    metadata: dict[str, Any]
    n_files: int = 1


@record
class FileStamp:
    """A file at the moment when it was looked at: size, time and inode."""

    path: str
    size_bytes: int
    mtime_ns: int
    inode: int

    def holds(self) -> bool:
        """Tells whether the file is still this one. Blocking."""
        return _stamp(self.path) == self


@record
class ExaminedFile:
    """Findings in a file, as long as it is the same file: size, time and inode are compared; of a split model in its
    first one, and `others` are those behind it.
    """

    size_bytes: int
    mtime_ns: int
    inode: int
    header: ModelHeader
    sha256: str | None = None
    others: tuple[FileStamp, ...] = ()

    @property
    def total_bytes(self) -> int:
        """Bytes of all files of the model."""
        return self.size_bytes + sum(one.size_bytes for one in self.others)

    def is_of(self, status: os.stat_result) -> bool:
        """Tells whether all files are still those that were looked at."""
        same = (self.size_bytes, self.mtime_ns, self.inode) == (status.st_size, status.st_mtime_ns, status.st_ino)
        return same and all(one.holds() for one in self.others)


class Preflight:
    """Header checks, each done once a file and remembered across daemons in `cache`."""

    def __init__(self, cache: Path, environ: Mapping[str, str], instance: str) -> None:
        self._cache = cache
        self._env = worker_environment(environ, instance)
        self._known: dict[str, ExaminedFile] = {}
        # One write at a time, in the order they were asked for: the last one holds the most.
        self._writing = trio.CapacityLimiter(1)

    def load(self) -> None:
        """Reads what earlier daemons found. Blocking."""
        for path, value in read_mapping(self._cache).items():
            try:
                self._known[path] = bind(ExaminedFile, value)
            except (InvalidParams, TypeError):
                continue  # written by another version: the check simply runs again

    def known(self, path: str) -> ExaminedFile | None:
        """The findings in the file, without looking into it again; None when it has changed since."""
        try:
            real, status = _locate(path)
        except (OSError, ValueError):
            return None
        known = self._known.get(real)
        return known if known is not None and known.is_of(status) else None

    async def check(self, path: str, name: str) -> tuple[str, ExaminedFile]:
        """The file's path with its links resolved, of a split model that of the first, and what it says of itself.

        Raises ModelUnavailable with the reason when it is not usable.
        """
        first = first_of(path)
        try:
            # In a thread: a path of the user's own may lie on a file system that has gone to sleep.
            real, status = await trio.to_thread.run_sync(_locate, first)
        except (OSError, ValueError) as error:
            begin = "" if first == path else f"is split, and its first file, {os.path.basename(first)}, "
            raise unusable(name, f"{begin}cannot be opened: {_why(error)}") from None
        known = self._known.get(real)
        if known is not None and known.is_of(status):
            return real, known
        others = await trio.to_thread.run_sync(_others, first, real)
        header = await self._look((real, *(one.path for one in others)), name)
        # The files as they were before the look: one that changed meanwhile does not match and is checked again.
        return real, await self._remember(real, status, header, None, others)

    async def learn(self, path: str, header: ModelHeader, sha256: str) -> None:
        """Takes over what a pull has verified."""
        real, status = await trio.to_thread.run_sync(_locate, path)
        others = await trio.to_thread.run_sync(_others, path, real)
        await self._remember(real, status, header, sha256, others)

    async def set_sha256(self, path: str, known: ExaminedFile, sha256: str) -> None:
        """Adds the digest to what is known."""
        self._known[path] = replace(known, sha256=sha256)
        await self._save()

    async def inspect(self, paths: Sequence[str], name: str) -> ModelHeader:
        """Examines as `check` does files that are not in their place yet: nothing is remembered."""
        header = await self._look(paths, name)
        if header.n_files != len(paths):
            raise unusable(name, f"has another number of files than its names say: {header.n_files}")
        return header

    async def _look(self, paths: Sequence[str], name: str) -> ModelHeader:
        try:
            with trio.fail_after(TIMEOUT_S):
                done = await trio.run_process(
                    [sys.executable, "-P", "-m", "agentgw_daemon.workers.llama.gguf", *paths],
                    stdin=subprocess.DEVNULL, capture_stdout=True, stderr=subprocess.DEVNULL, check=False,
                    env=self._env, cwd="/", deliver_cancel=_kill,
                )  # fmt: skip
        except trio.TooSlowError:
            raise unusable(name, f"has a header that takes longer than {TIMEOUT_S:.0f} s to read") from None
        except OSError as error:
            raise unusable(name, f"cannot be examined: {_why(error)}") from None
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            raise unusable(name, f"broke the check of its header (status {done.returncode})") from None
        if not answer["ok"]:
            raise unusable(name, str(answer["reason"]))
        return ModelHeader(
            architecture=answer["architecture"],
            has_chat_template=answer["has_chat_template"],
            name=answer["name"],
            n_ctx_train_tokens=answer["n_ctx_train_tokens"],
            metadata=answer["metadata"],
            n_files=answer["n_files"],
        )

    async def _remember(
        self,
        path: str,
        status: os.stat_result,
        header: ModelHeader,
        sha256: str | None,
        others: tuple[FileStamp, ...],
    ) -> ExaminedFile:
        known = ExaminedFile(
            size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino, header=header, sha256=sha256,
            others=others if header.n_files > 1 else (),
        )  # fmt: skip
        self._known.pop(path, None)
        self._known[path] = known
        while len(self._known) > _MAX_KNOWN:
            del self._known[next(iter(self._known))]
        await self._save()
        return known

    async def _save(self) -> None:
        value = {path: dump(known) for path, known in self._known.items()}
        await trio.to_thread.run_sync(write_atomically, self._cache, value, limiter=self._writing)


def unusable(name: str, reason: str) -> ModelUnavailable:
    """The file is there and cannot be used."""
    return ModelUnavailable(f"{name} {reason}", hint="`agentgw models` lists what is usable", model=name, reason=reason)


def _locate(path: str) -> tuple[str, os.stat_result]:
    real = os.path.realpath(path, strict=True)
    return real, os.stat(real)


def _others(path: str, real: str) -> tuple[FileStamp, ...]:
    """The files that belong to this first one by its name, or by the name of what it links to, there or not."""
    named = files_of(path)
    return tuple(map(_stamp, named[1:] if len(named) > 1 else files_of(real)[1:]))


def _stamp(path: str) -> FileStamp:
    """Stamp of the file; one that no file has if it is missing."""
    try:
        real, status = _locate(path)
    except OSError:
        return FileStamp(path=path, size_bytes=0, mtime_ns=0, inode=0)
    return FileStamp(path=real, size_bytes=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)


def _why(error: OSError | ValueError) -> str:
    return str(getattr(error, "strerror", None) or error).lower()


async def _kill(process: trio.Process) -> None:
    """The check has nothing to finish, so it gets no grace."""
    process.kill()
