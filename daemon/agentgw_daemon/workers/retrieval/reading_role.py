"""Role `read`: documents, from a path to chunks. Each step is confined: a document may be made to hurt."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Final, TypeVar

from agentgw_daemon.system.confinement import TimeExceeded, confine
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.retrieval.embedding.counting import TokenCounter, counter
from agentgw_daemon.workers.retrieval.handlers import Handlers, Refusal, RequestTask
from agentgw_daemon.workers.retrieval.reading.reader import read
from agentgw_daemon.workers.retrieval.reading.values import (
    MIN_CHUNK_TOKENS,
    DocumentSource,
    OpenedDocument,
    ReadingLimits,
    UnchangedBytes,
    Unreadable,
)

T = TypeVar("T")

# Of one document, the daemon's own patience (`read_timeout_s`) being a little more. What a parser does in one
# instruction does not hear of the end of its time; the process is ended two seconds of processor time later.
TIME_S: Final = 110.0
# Beside what the process holds already: the largest document that is read, its text and its syntax tree.
MEMORY_BYTES: Final = 1 << 30
# Some dozens of kilobytes a message.
_BATCH_PIECES: Final = 64


def add_to(handlers: Handlers) -> None:
    """Adds the requests that this role answers."""
    handlers.add(wire.Read, _Role().read)


class _Role:
    def __init__(self) -> None:
        self._counters: dict[str, TokenCounter] = {}

    def read(self, request: wire.Read, task: RequestTask) -> wire.Extracted | wire.Unchanged:
        """Answers Read."""
        if request.chunk_tokens < MIN_CHUNK_TOKENS:
            raise Refusal("invalid", f"chunks of {request.chunk_tokens} tokens are too small")
        source = DocumentSource(
            path=request.path, text=None if request.path else request.text, name=request.name,
            known_sha256=request.known_sha256,
        )  # fmt: skip
        limits = ReadingLimits(
            max_bytes=request.max_bytes, chunk_tokens=request.chunk_tokens, overlap_tokens=request.overlap_tokens,
            max_chunks=request.max_chunks,
        )  # fmt: skip
        count = self._counter(request.embedder)
        budget = _ReadingBudget(TIME_S)
        document = budget.spend(lambda: read(source, limits, count))
        if isinstance(document, UnchangedBytes):
            return wire.Unchanged(
                sha256=document.sha256, size_bytes=document.size_bytes, mtime_ns=document.mtime_ns
            )  # fmt: skip
        return _send(document, task, budget)

    def _counter(self, embedder: wire.Embedder) -> TokenCounter:
        if embedder.id not in self._counters:
            # An old one is of an embedder that has been replaced.
            self._counters = {embedder.id: counter(embedder)}
        return self._counters[embedder.id]


def _send(document: OpenedDocument, task: RequestTask, budget: _ReadingBudget) -> wire.Extracted:
    while pieces := budget.spend(lambda: tuple(itertools.islice(document.pieces, _BATCH_PIECES))):
        if task.cancelled:
            raise Refusal("cancelled", "")
        # Outside of the confinement: a message that an alarm cut in half would be the end of the pipe.
        task.emit(wire.Pieces(pieces=pieces))
    return wire.Extracted(
        format=document.format, title=document.title, sha256=document.sha256, size_bytes=document.size_bytes,
        mtime_ns=document.mtime_ns, note=document.note,
    )  # fmt: skip


class _ReadingBudget:
    """The time that is left of a document's."""

    def __init__(self, seconds: float) -> None:
        self._left_s = seconds

    def spend(self, work: Callable[[], T]) -> T:
        """The value that `work` gives. Raises Refusal("unreadable") for a document that is none, or takes
        too much.
        """
        started = time.monotonic()
        try:
            return confine(work, time_s=max(0.001, self._left_s), memory_bytes=MEMORY_BYTES)
        except Unreadable as error:
            raise Refusal("unreadable", str(error)) from error
        except MemoryError as error:
            raise Refusal("unreadable", "takes too much memory to read") from error
        except TimeExceeded as error:
            raise Refusal("unreadable", f"takes more than {TIME_S:.0f} s to read") from error
        finally:
            self._left_s -= time.monotonic() - started
