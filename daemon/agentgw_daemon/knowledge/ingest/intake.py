"""One order to ingest, from paths to stored chunks.

What `gathering` gives is cut by the `read` worker; chunks of many documents are embedded together; each document is
stored in one transaction, and counts from then on. What waits between these steps is bounded. A document that cannot be
read or embedded is listed and the rest goes on; what no other document would survive either (no embedder, a full disk)
ends the order. Cancelled, what is stored stays.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import trio

from agentgw.protocol.errors import InvalidParams, RpcError, Timeout, WorkerDied
from agentgw_daemon.events.delivery import ReaderGone
from agentgw_daemon.knowledge.ingest.comparing import IngestCandidate, WantedLabels, labels_differ
from agentgw_daemon.knowledge.ingest.gathering import Gathering, IngestParts, Order
from agentgw_daemon.knowledge.ingest.locks import ByteBudget
from agentgw_daemon.knowledge.texts import embedded_text
from agentgw_daemon.retrieval.results import ExtractedDocument, UnchangedDocument, UnreadableDocument
from agentgw_daemon.storage.documents.contents import Vectors
from agentgw_daemon.storage.documents.documents import NewDocument
from agentgw_daemon.storage.documents.generations import EmbedderIdentity
from agentgw_daemon.system.changes import RACY_NS
from agentgw_daemon.tools.files.secret_names import PRIVATE_KEY_MARK

if TYPE_CHECKING:
    from agentgw.protocol.events import DocumentProgress
    from agentgw_daemon.knowledge.ingest.progress import ProgressMeter
    from agentgw_daemon.knowledge.ingest.report import IngestReport
    from agentgw_daemon.workers.protocol import retrieval as wire

TellIngest = Callable[["DocumentProgress"], Awaitable[None]]

# One document is cut while the next one waits at the worker's door.
_READERS: Final = 2
# A thousand chunks of text and vectors are some 3 MB; and many documents of one chunk each still fill a batch.
_CHUNKS_IN_HAND: Final = 1024
# Chunks that wait for the embedder: two of its batches, so that it never idles and nobody else waits long.
_CHUNKS_AT_EMBEDDER: Final = 256
# Of one document at a time: progress moves with it. Those of several documents are put together by the embedder.
_SLICE: Final = 32
_STAMPS_AT_ONCE: Final = 500
_TELL_EVERY_S: Final = 0.1
# The earliest time that SQLite has room for, in 1677. File systems without clocks of their own have earlier ones.
_EARLIEST_NS: Final = -(1 << 63)
# Only of a file in which nothing is written: the reader refuses others that give no text.
_EMPTY: Final = "has no text: nothing of it can be found"
_BEGIN_MARK: Final = "-----BEGIN"


@dataclass(frozen=True, slots=True)
class _Read:
    """A document that was read and is not stored yet."""

    new: NewDocument
    pieces: tuple[wire.DocumentChunk, ...]
    size_bytes: int


class Intake:
    """Carries out one order. For one `run`."""

    def __init__(
        self,
        parts: IngestParts,
        order: Order,
        wanted: WantedLabels,
        embedder: wire.Embedder,
        *,
        meter: ProgressMeter,
        report: IngestReport,
    ) -> None:
        self._parts = parts
        self._order = order
        self._wanted = wanted
        self._embedder = embedder
        self._meter = meter
        self._report = report
        self._in_hand = ByteBudget(_CHUNKS_IN_HAND)
        self._at_embedder = ByteBudget(_CHUNKS_AT_EMBEDDER)
        self._stamps: dict[str, tuple[int, int | None]] = {}
        # Contents that are being stored, by their digest: another file with the same one waits and is linked to it.
        self._storing: dict[str, trio.Event] = {}
        self._scope = trio.CancelScope()
        self._error: RpcError | ReaderGone | None = None

    async def run(self, tell: TellIngest | None) -> None:
        """Carry the ingest out. Raises the RpcError that ended it, and ReaderGone from `tell`."""
        with self._scope:
            async with trio.open_nursery() as telling:
                if tell is not None:
                    telling.start_soon(self._guarded, partial(self._tell_on, tell))
                await self._guarded(self._work)
                telling.cancel_scope.cancel()
        if self._error is not None:
            raise self._error
        if tell is not None:
            await tell(self._meter.snapshot(trio.current_time()))

    async def _guarded(self, do: Callable[[], Awaitable[None]]) -> None:
        """Runs `do`; what ends the order in any task ends all of them, and is raised once."""
        try:
            await do()
        except (RpcError, ReaderGone) as error:
            self._error = self._error or error
            self._scope.cancel()

    async def _tell_on(self, tell: TellIngest) -> None:
        last = None
        while True:
            progress = self._meter.snapshot(trio.current_time())
            if progress != last:
                await tell(progress)
                last = progress
            await trio.sleep(_TELL_EVERY_S)

    async def _work(self) -> None:
        gathering = Gathering(self._parts, self._wanted, meter=self._meter, report=self._report)
        candidates = await gathering.candidates(self._order)
        send, receive = trio.open_memory_channel[IngestCandidate](0)
        async with trio.open_nursery() as nursery:
            for _ in range(_READERS):
                nursery.start_soon(self._guarded, partial(self._read_on, receive.clone(), nursery))
            receive.close()
            async with send:
                for one in candidates:
                    await send.send(one)
        await self._touch()

    async def _read_on(self, candidates: trio.MemoryReceiveChannel[IngestCandidate], nursery: trio.Nursery) -> None:
        async with candidates:
            async for one in candidates:
                self._meter.source = one.source
                read = await self._read(one)
                if read is None:
                    self._meter.passed(1, one.size_bytes)
                    continue
                # Held until it is stored: with no room, nothing more is read.
                await self._in_hand.take(len(read.pieces))
                nursery.start_soon(self._guarded, partial(self._finish, read))

    async def _read(self, one: IngestCandidate) -> _Read | None:
        """The document cut; None when there is nothing more to do with it."""
        asked_at_ns = time.time_ns()
        try:
            read = await self._ask_reader(one)
        except (UnreadableDocument, InvalidParams) as error:
            self._report.fail(one.source, str(error))
            return None
        if isinstance(read, UnchangedDocument):
            await self._note_unchanged(one, read, asked_at_ns)
            return None
        if read.pieces and read.pieces[0].text.lstrip().startswith(_BEGIN_MARK) and _is_key(read.pieces[0].text):
            self._report.fail(one.source, "is a private key")
            return None
        if read.note or not read.pieces:
            self._report.note(one.source, read.note or _EMPTY)
        return _Read(self._document(one, read, asked_at_ns), read.pieces, one.size_bytes)

    async def _ask_reader(self, one: IngestCandidate) -> ExtractedDocument | UnchangedDocument:
        read = partial(
            self._parts.retrieval.read, one.path or None, text=one.text, name=os.path.basename(one.source),
            known_sha256=one.known_sha256(self._wanted), chunk_tokens=self._wanted.chunk_tokens,
            embedder=self._embedder,
        )  # fmt: skip
        try:
            return await read()
        except UnreadableDocument as error:
            # A worker that died may have been killed for want of memory, by no fault of this document.
            if not isinstance(error.__cause__, WorkerDied):
                raise
        return await read()

    async def _note_unchanged(self, one: IngestCandidate, read: UnchangedDocument, asked_at_ns: int) -> None:
        known, wanted = one.known, self._wanted
        assert known is not None
        if labels_differ(known, wanted):
            await self._parts.database.documents.relabel(wanted.collection, [one.source], wanted.skills, wanted.tags)
        self._report.count("unchanged")
        self._stamps[one.source] = (read.size_bytes, _stamp(one, read.mtime_ns, asked_at_ns))
        if len(self._stamps) >= _STAMPS_AT_ONCE:
            await self._touch()

    async def _touch(self) -> None:
        stamps, self._stamps = self._stamps, {}
        if stamps:
            await self._parts.database.documents.touch(self._wanted.collection, stamps)

    def _document(self, one: IngestCandidate, read: ExtractedDocument, asked_at_ns: int) -> NewDocument:
        wanted, known = self._wanted, one.known
        skills = wanted.skills if wanted.skills is not None else known.skills if known is not None else ()
        tags = wanted.tags if wanted.tags is not None else known.tags if known is not None else ()
        return NewDocument(
            source=one.source, sha256=read.sha256, chunking=wanted.chunking, title=read.title, format=read.format,
            size_bytes=read.size_bytes, mtime_ns=_stamp(one, read.mtime_ns, asked_at_ns), root=one.root,
            collection=wanted.collection, skills=skills, tags=tags,
        )  # fmt: skip

    async def _finish(self, read: _Read) -> None:
        """Stores documents from their chunks, one of the same content after the other."""
        digest = read.new.sha256
        while (other := self._storing.get(digest)) is not None:
            await other.wait()
        stored = self._storing[digest] = trio.Event()
        try:
            await self._store(read)
        finally:
            del self._storing[digest]
            stored.set()

    async def _store(self, read: _Read) -> None:
        documents, pieces = self._parts.database.documents, read.pieces
        try:
            stored = await documents.link(read.new)
            if stored is not None:
                self._count(read, stored.state)
                self._meter.passed(1, read.size_bytes)
                return
            rows = await self._embed(read)
            embedder = EmbedderIdentity(id=self._embedder.id, name=self._embedder.name, dim=self._embedder.dim)
            stored = await documents.put(read.new, pieces, Vectors(embedder=embedder, rows=rows))
            self._count(read, stored.state, len(pieces))
            self._meter.stored(len(pieces))
        except (WorkerDied, Timeout) as error:
            self._report.fail(read.new.source, f"cannot be embedded: {error.message}")
        finally:
            self._in_hand.give_back(len(pieces))
        self._meter.passed()

    def _count(self, read: _Read, state: Literal["added", "updated", "unchanged"], chunks: int = 0) -> None:
        """Counts a stored document; one without text is stored, so that its old text goes, but is no success."""
        if read.pieces:
            self._report.count(state, chunks)
        else:
            self._report.skipped += 1

    async def _embed(self, read: _Read) -> list[bytes]:
        """One vector a piece. Raises WorkerDied or Timeout when the embedder cannot do these texts, also not alone."""
        texts = [embedded_text(piece.title_path, piece.text) for piece in read.pieces]
        rows: list[bytes] = []
        for at in range(0, len(texts), _SLICE):
            some = texts[at : at + _SLICE]
            await self._at_embedder.take(len(some))
            try:
                rows += await self._embed_slice(some)
            finally:
                self._at_embedder.give_back(len(some))
            self._meter.embedded(len(some), read.size_bytes * len(some) / len(texts))
        return rows

    async def _embed_slice(self, texts: Sequence[str]) -> Sequence[bytes]:
        embed = partial(self._parts.retrieval.embed, texts, purpose="bulk", embedder=self._embedder)
        try:
            async with self._parts.embedding.beside_others():
                return await embed()
        except (WorkerDied, Timeout):
            # Texts of several documents go to the embedder together: which of them it died of shows now.
            async with self._parts.embedding.alone():
                return await embed()


def _stamp(one: IngestCandidate, mtime_ns: int, asked_at_ns: int) -> int | None:
    """The file's time to be noted, or None where it says nothing: the file is read again then, each time."""
    return mtime_ns if one.has_stamp and _EARLIEST_NS <= mtime_ns < asked_at_ns - RACY_NS else None


def _is_key(text: str) -> bool:
    return PRIVATE_KEY_MARK.decode() in text.lstrip().partition("\n")[0]
