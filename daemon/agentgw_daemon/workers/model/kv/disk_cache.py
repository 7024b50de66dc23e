"""Keys and values of earlier prompts on disk: saved in the background, found again by the tokens they are of.

What a session adds is saved as one more segment after those there are, so that a turn writes its own tokens only and
sessions that start alike share that start. One thread asks; a thread of its own writes, and trims the folder to its
bound after each write. Nothing here raises for what is wrong with a disk or a file: then there is less to restore.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from agentgw_daemon.workers.model.kv.radix_tree import Prefixes, RadixNode
from agentgw_daemon.workers.protocol.kv_files import segment, state_file, state_folder

# Bytes that may wait for the disk, and so take memory: a second or two of a slow disk.
QUEUE_BYTES: Final = 256 << 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RestoredState:
    """llama.cpp's state of the positions from `start` up to `end`, to be put behind what came before."""

    start: int
    end: int
    payload: bytes


class DiskPrefixCache:
    """The saved states of one model. Made by `open`, ended by `close`; for one thread."""

    def __init__(self, folder: Path, models: Path, *, limit_bytes: int, queue_bytes: int) -> None:
        self._folder: Final = folder
        self._models: Final = models
        self._limit_bytes: Final = limit_bytes
        self._queue_bytes: Final = queue_bytes
        self._tree: Final = Prefixes()
        self._queue: Final[queue.SimpleQueue[RadixNode | None]] = queue.SimpleQueue()
        self._queued_bytes = 0
        self._queued = 0
        self._closed = False
        self._said: Final[set[int | None]] = set()
        # Of the tree and the counters; never held while a file is read or written.
        self._lock: Final = threading.Condition()
        self._writer: Final = threading.Thread(target=self._write_all, name="kv writer", daemon=True)

    @classmethod
    def open(cls, folder: Path, *, model_key: str, limit_bytes: int, queue_bytes: int = QUEUE_BYTES) -> DiskPrefixCache:
        """The states of a model in `folder`, which may be missing. `model_key` is all that a state depends on.

        The bound holds for the whole folder, every model's; 0 saves nothing and removes what there is.
        """
        states = cls(
            folder, state_folder.model_folder(folder, model_key), limit_bytes=limit_bytes, queue_bytes=queue_bytes
        )
        if limit_bytes > 0:
            with contextlib.suppress(OSError):  # the first write says why
                state_file.make_folder(folder)
            states._scan()
        states._writer.start()
        return states

    def match(self, tokens: Sequence[int], most: int) -> int:
        """The number of the first `most` tokens that could be restored. Looks at memory only."""
        with self._lock:
            return self._tree.longest(segment.pack(tokens[:most]))[1]

    def load(self, tokens: Sequence[int], most: int) -> Iterator[RestoredState]:
        """The states that `match` found, in order; fewer where a file has gone or is damaged.

        The last may end behind what matches: of it, the caller keeps what he has the tokens of.
        """
        with self._lock:
            chain = self._tree.longest(segment.pack(tokens[:most]))[0]
        self._touch(chain)
        for node in chain:
            # The order matters: once the writer has let go of it, it can be read.
            payload = node.payload
            if payload is None and not node.gone:
                payload = state_file.read(self._path(node), node.header)
            if payload is None:
                self._drop(node)
                return
            yield RestoredState(start=node.header.start, end=node.header.end, payload=payload)

    def covered(self, tokens: Sequence[int]) -> int:
        """The place where a segment of these tokens has to start: how many lie in whole segments, written or
        about to be.
        """
        with self._lock:
            return max(self._tree.ends(segment.pack(tokens)), default=0)

    def save(self, cache_scope: str, tokens: Sequence[int], start: int, payload: bytes) -> bool:
        """Have the state of `tokens[start:]` written, which follows a saved `tokens[:start]` (see `covered`).

        True: it is saved already or will be, unless the disk objects. False: nothing starts there, the queue is full,
        or it would not fit the bound together with what it follows. Raises ValueError for an impossible cache scope.
        """
        state_folder.check_cache_scope(cache_scope)
        packed = segment.pack(tokens)
        with self._lock:
            ends = self._tree.ends(packed)
            if len(tokens) in ends:
                return True
            parent = ends.get(start)
            if self._closed or not 0 <= start < len(tokens) or (start > 0 and parent is None):
                return False
            header = segment.describe(
                parent.header.digest if parent else segment.ROOT, start, packed[start * segment.TOKEN_BYTES :],
                len(payload),
            )  # fmt: skip
            together = header.file_bytes + sum(node.header.file_bytes for node in (parent.chain() if parent else ()))
            if together > self._limit_bytes or self._queued_bytes + len(payload) > self._queue_bytes:
                return False
            node = self._tree.add(cache_scope, header, payload)
            assert node is not None, "its parent was looked up and it is not there yet"
            self._queued_bytes += len(payload)
            self._queued += 1
            self._queue.put(node)
        return True

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was saved is written; whether it is."""
        with self._lock:
            return self._lock.wait_for(lambda: self._queued == 0, timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Save nothing more and finish what is queued; whether that was done in time. The rest is lost."""
        ends_at = time.monotonic() + timeout_s
        with self._lock:
            self._closed = True
        self._queue.put(None)
        self._writer.join(max(ends_at - time.monotonic(), 0))
        return not self._writer.is_alive()

    def _scan(self) -> None:
        found = sorted(state_folder.scan(self._models), key=lambda one: one[1].start)
        for cache_scope, header in found:
            # A parent ends where its child starts, so it has come before.
            if self._tree.add(cache_scope, header) is None:
                state_file.remove(self._models / state_folder.file_name(cache_scope, header.digest))

    def _path(self, node: RadixNode) -> Path:
        return self._models / state_folder.file_name(node.cache_scope, node.header.digest)

    def _drop(self, node: RadixNode) -> None:
        with self._lock:
            dropped = self._tree.drop(node)
        for one in dropped:
            state_file.remove(self._path(one))

    def _touch(self, chain: list[RadixNode]) -> None:
        written = [node for node in chain if node.payload is None]
        present = state_file.touch([self._path(node) for node in written])
        if present < len(written):
            self._drop(written[present])

    def _write_all(self) -> None:
        self._trim()
        while (node := self._queue.get()) is not None:
            try:
                self._write(node)
                self._trim()
            except FileNotFoundError:
                self._drop(node)  # its cache scope was forgotten, or the folder removed, in this very moment
            except (OSError, MemoryError) as error:
                self._drop(node)
                self._say(error)
            with self._lock:
                self._queued_bytes -= node.header.payload_bytes
                self._queued -= 1
                self._lock.notify_all()

    def _write(self, node: RadixNode) -> None:
        payload = node.payload
        if payload is None:
            return  # dropped while it waited
        path = self._path(node)
        state_file.write(path, node.header, payload)
        with self._lock:
            gone, node.payload = node.gone, None
        if gone or state_folder.is_forgotten(self._folder, node.cache_scope):
            state_file.remove(path)
            self._drop(node)
        else:
            self._touch(node.chain())

    def _trim(self) -> None:
        for file in state_folder.trim(self._folder, self._limit_bytes):
            with self._lock:
                node = self._tree.get(file.digest)
            if node is not None and self._path(node) == file.path:
                self._drop(node)

    def _say(self, error: OSError | MemoryError) -> None:
        """Logs an error once of each kind: a disk that is full stays so for many turns."""
        number = error.errno if isinstance(error, OSError) else None
        if number not in self._said:
            self._said.add(number)
            reason = error.strerror if isinstance(error, OSError) else "out of memory"
            print(f"states of prompts cannot be saved in {self._models}: {reason}", file=sys.stderr, flush=True)
