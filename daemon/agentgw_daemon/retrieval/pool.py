"""Everything that retrieval workers do for the daemon: the embedder, reading documents, the vector index.

Owns the workers' tasks. Nothing here wakes up periodically.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal, TypeVar, assert_never

import trio

from agentgw.protocol.errors import InvalidParams, ModelUnavailable, RpcError, Timeout, WorkerDied
from agentgw.protocol.types import Worker
from agentgw_daemon.retrieval.batching import Batcher
from agentgw_daemon.retrieval.results import ExtractedDocument, IndexFailed, UnchangedDocument, UnreadableDocument
from agentgw_daemon.retrieval.role_queue import RoleQueue, unexpected
from agentgw_daemon.retrieval.spec import RetrievalSettings
from agentgw_daemon.system.child_environment import worker_environment
from agentgw_daemon.system.memory import rss_bytes
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.protocol.codec import ReplyPart, WorkerReply, WorkerRequest
from agentgw_daemon.workers.protocol.footprint import FLOAT_BYTES

P = TypeVar("P", bound=WorkerReply)

Resolve = Callable[[], Awaitable[wire.Embedder]]
"""The embedder that the configuration names. Raises ModelUnavailable."""

TextKind = Literal["query", "document"]

# A query is answered in milliseconds; more texts than this in one call are no query.
QUERY_TEXTS: Final = 16
# A book of 2,000 pages has some 4,000 chunks.
MAX_CHUNKS: Final = 200_000
MAX_DOCUMENT_BYTES: Final = 256 << 20
# Of a chunk, as much is told again in the next one: a sentence or two.
OVERLAP_SHARE: Final = 8


class Retrieval:
    """The workers, by role. They run in the nursery it was handed; see `open_retrieval`."""

    def __init__(
        self, settings: RetrievalSettings, nursery: trio.Nursery, *, resolve: Resolve, env: Mapping[str, str]
    ) -> None:
        self._settings = settings
        self._resolve = resolve
        self._queues: dict[wire.WorkerRole, RoleQueue] = {
            role: RoleQueue(role, settings, nursery, env) for role in wire.ROLES
        }
        self._batcher = Batcher(nursery, self._compute)

    def configure(self, settings: RetrievalSettings) -> None:
        """Take a reloaded configuration over; running workers keep their limits."""
        self._settings = settings
        for queue in self._queues.values():
            queue.configure(settings)

    async def embedder(self) -> wire.Embedder:
        """The embedder that turns text into vectors at this moment. Its `id` belongs beside every vector that it
        made.

        Raises ModelUnavailable with the line that gets it.
        """
        return await self._resolve()

    async def embed(
        self, texts: Sequence[str], *, purpose: Literal["query", "bulk"], embedder: wire.Embedder | None = None,
        kind: TextKind | None = None,
    ) -> tuple[bytes, ...]:  # fmt: skip
        """A vector of unit length a text, each `dim` little-endian float32.

        `query` is answered at once by the light engine; `bulk` by the faster one, together with what others want.
        `kind` tells which of the embedder's prompts is put before each text: without it, `query` embeds queries and
        `bulk` documents. Without an `embedder`, the configured one. Raises ModelUnavailable, WorkerDied, Timeout and
        Overloaded.
        """
        if embedder is None:
            embedder = await self._resolve()
        is_query = (kind or purpose) == "query"
        prompt = embedder.query_prompt if is_query else embedder.document_prompt
        match purpose:
            case "query" if len(texts) <= QUERY_TEXTS:
                if not texts:
                    return ()
                return await self._embed(self._queues["search"], embedder, prompt, tuple(texts), urgent=True)
            case "query" | "bulk":
                return await self._batcher.embed(embedder, texts, prompt)
            case _:
                assert_never(purpose)

    async def read(
        self, path: str | None = None, *, text: str | None = None, name: str = "", known_sha256: str = "",
        chunk_tokens: int, overlap_tokens: int | None = None, embedder: wire.Embedder | None = None,
        max_bytes: int = MAX_DOCUMENT_BYTES,
    ) -> ExtractedDocument | UnchangedDocument:  # fmt: skip
        """The chunks of a file, or of `text` that is called `name`.

        Unchanged when its bytes have the digest `known_sha256`. Raises UnreadableDocument for what is wrong with this
        one document, a worker that it broke or a time limit included; RpcError for everything else.
        """
        if embedder is None:
            embedder = await self._resolve()
        request = wire.Read(
            path=path or "", text=text or "", name=name, known_sha256=known_sha256, embedder=embedder,
            chunk_tokens=chunk_tokens, max_bytes=max_bytes, max_chunks=MAX_CHUNKS,
            overlap_tokens=chunk_tokens // OVERLAP_SHARE if overlap_tokens is None else overlap_tokens,
        )  # fmt: skip
        pieces: list[wire.DocumentChunk] = []

        def gather(part: ReplyPart) -> None:
            if isinstance(part, wire.Pieces):
                pieces.extend(part.pieces)

        queue = self._queues["read"]
        try:
            reply = await queue.ask(request, timeout_s=self._settings.read_timeout_s, on_part=gather)
        except (WorkerDied, Timeout) as error:
            # The process did nothing but this document.
            raise UnreadableDocument(error.message) from error
        queue.model = embedder.name
        match reply:
            case wire.Extracted():
                return ExtractedDocument(
                    format=reply.format, title=reply.title, sha256=reply.sha256, size_bytes=reply.size_bytes,
                    mtime_ns=reply.mtime_ns, pieces=tuple(pieces), note=reply.note,
                )  # fmt: skip
            case wire.Unchanged():
                return UnchangedDocument(sha256=reply.sha256, size_bytes=reply.size_bytes, mtime_ns=reply.mtime_ns)
            case wire.Failed(kind="unreadable"):
                raise UnreadableDocument(reply.message)
            case _:
                raise _failure(reply, embedder.name)

    async def index(self, request: WorkerRequest, answer: type[P], *, urgent: bool = False) -> P:
        """The answer of the vector index; urgent is what a person waits for.

        Raises IndexFailed, WorkerDied, Timeout, Overloaded, and ModelUnavailable where a text had to be embedded.
        """
        reply = await self._queues["search"].ask(request, timeout_s=self._settings.request_timeout_s, urgent=urgent)
        if isinstance(reply, wire.Failed) and reply.kind == "index":
            raise IndexFailed(reply.message)
        if not isinstance(reply, answer):
            raise _failure(reply, "the embedder")
        return reply

    def has_worker(self, role: wire.WorkerRole) -> bool:
        """Tells whether a process of this role is there."""
        return self._queues[role].usable

    def prewarm(self) -> None:
        """Start the worker that answers queries; it loads what it needs with its first request."""
        self._queues["search"].prewarm()

    def workers(self) -> tuple[Worker, ...]:
        """The processes there are."""
        return tuple(
            Worker(
                pid=process.pid, kind="retrieval", rss_bytes=rss_bytes(process.pid), slots=1, busy=int(process.busy),
                model=queue.model, detail=queue.role,
            )
            for queue in self._queues.values()
            if (process := queue.process) is not None and process.usable and process.pid
        )  # fmt: skip

    @property
    def queue_length(self) -> int:
        """Requests that wait for a worker."""
        return sum(queue.queue_length for queue in self._queues.values())

    def close(self) -> None:
        """Refuse new requests and end the waiting ones with ShuttingDown; running ones go on."""
        for queue in self._queues.values():
            queue.close()

    async def _compute(
        self, embedder: wire.Embedder, prompt: str, texts: tuple[str, ...], more: int
    ) -> tuple[bytes, ...]:
        return await self._embed(self._queues["bulk"], embedder, prompt, texts, more=more)

    async def _embed(
        self, queue: RoleQueue, embedder: wire.Embedder, prompt: str, texts: tuple[str, ...], *, urgent: bool = False,
        more: int = 0,
    ) -> tuple[bytes, ...]:  # fmt: skip
        request = wire.Embed(embedder=embedder, texts=texts, prompt=prompt, more=more)
        reply = await queue.ask(request, timeout_s=self._settings.request_timeout_s, urgent=urgent)
        if not isinstance(reply, wire.Embedded):
            raise _failure(reply, embedder.name)
        queue.model = embedder.name
        size = reply.dim * FLOAT_BYTES
        if reply.dim != embedder.dim or len(reply.vectors) != size * len(texts):
            raise WorkerDied(f"{embedder.name} gave vectors of another size than it should", worker="retrieval")
        return tuple(reply.vectors[at : at + size] for at in range(0, len(reply.vectors), size))


def _failure(reply: WorkerReply, name: str) -> RpcError:
    if not isinstance(reply, wire.Failed):
        return unexpected(reply)
    if reply.kind == "model":
        return ModelUnavailable(f"{name} cannot be used: {reply.message}", model=name, reason=reply.message)
    return InvalidParams(reply.message, reason=reply.message)


@asynccontextmanager
async def open_retrieval(
    settings: RetrievalSettings, *, resolve: Resolve, environ: Mapping[str, str], instance: str
) -> AsyncIterator[Retrieval]:
    """The facade; leaving stops every worker within `stop_timeout_s` and a little, and reaps it."""
    async with trio.open_nursery() as nursery:
        retrieval = Retrieval(settings, nursery, resolve=resolve, env=worker_environment(environ, instance))
        try:
            yield retrieval
        finally:
            retrieval.close()
            nursery.cancel_scope.cancel()
