"""Gathering of the documents that an order to ingest means; what needs no reading is dealt with on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.records.schema import record
from agentgw_daemon.knowledge.ingest.comparing import IngestCandidate, WantedLabels, compare, gone, left_out
from agentgw_daemon.knowledge.ingest.walking import harvest
from agentgw_daemon.storage.documents.selection import Selection

if TYPE_CHECKING:
    from agentgw_daemon.knowledge.ingest.forbidden import Forbidden
    from agentgw_daemon.knowledge.ingest.locks import ReadWriteLock
    from agentgw_daemon.knowledge.ingest.progress import ProgressMeter
    from agentgw_daemon.knowledge.ingest.report import IngestReport
    from agentgw_daemon.knowledge.ingest.walking import FoundFile, Harvest
    from agentgw_daemon.retrieval.pool import Retrieval
    from agentgw_daemon.storage.database import Database
    from agentgw_daemon.storage.documents.documents import KnownDocument

# Far fewer than SQLite takes, and others get the database in between.
_AT_ONCE: Final = 500


@record
class Order:
    """Order to ingest `paths`, absolute ones, or `text` under the name `source`. See `DocumentIngestParams`."""

    paths: tuple[str, ...] = ()
    text: str | None = None
    source: str | None = None
    exclude: tuple[str, ...] = ()
    prune: bool = False


@dataclass(frozen=True, slots=True)
class IngestParts:
    """Parts of the daemon that every ingest works with."""

    database: Database
    retrieval: Retrieval
    forbidden: Forbidden
    # Texts at the embedder: those of a document that broke it are tried again with nobody else's.
    embedding: ReadWriteLock


class Gathering:
    """Gathering for one order."""

    def __init__(self, parts: IngestParts, wanted: WantedLabels, *, meter: ProgressMeter, report: IngestReport) -> None:
        self._documents = parts.database.documents
        self._forbidden = parts.forbidden
        self._wanted = wanted
        self._meter = meter
        self._report = report

    async def candidates(self, order: Order) -> list[IngestCandidate]:
        """The files that have to be read. Those that are stored as they are, failures and vanished ones are
        counted.
        """
        if order.text is not None:
            return [await self._text(order.text, order.source or "")]
        found = await self._harvest(order)
        if order.source is not None and len(found.files) == 1 and not found.roots:
            return [await self._renamed(found.files[0], order.source)]
        made: list[IngestCandidate] = []
        for at in range(0, len(found.files), _AT_ONCE):
            made += await self._changed(found.files[at : at + _AT_ONCE])
        await self._look_for_vanished(found, prune=order.prune)
        return made

    async def _text(self, text: str, source: str) -> IngestCandidate:
        known = await self._documents.known(self._wanted.collection, [source])
        size = len(text.encode())
        self._meter.found(1, size)
        return IngestCandidate(source, known.get(source), text=text, size_bytes=size, has_stamp=False)

    async def _harvest(self, order: Order) -> Harvest:
        walk = partial(harvest, order.paths, order.exclude, self._forbidden, check=trio.from_thread.check_cancelled)
        found = await trio.to_thread.run_sync(walk)
        self._report.skipped += found.skipped
        self._meter.found(len(found.files), 0)
        return found

    async def _renamed(self, file: FoundFile, source: str) -> IngestCandidate:
        """A file under another name, such as what was piped in."""
        known = await self._documents.known(self._wanted.collection, [source])
        self._meter.found(0, file.size_bytes)
        return IngestCandidate(source, known.get(source), path=file.path, size_bytes=file.size_bytes, has_stamp=False)

    async def _changed(self, files: Sequence[FoundFile]) -> list[IngestCandidate]:
        wanted = self._wanted
        known = await self._documents.known(wanted.collection, [file.source for file in files])
        found = compare(files, known, wanted)
        if found.relabelled:
            await self._documents.relabel(wanted.collection, found.relabelled, wanted.skills, wanted.tags)
        self._report.count("unchanged", documents=found.unchanged)
        self._meter.passed(found.unchanged)
        self._meter.found(0, sum(one.size_bytes for one in found.changed))
        return found.changed

    async def _look_for_vanished(self, found: Harvest, *, prune: bool) -> None:
        collection = self._wanted.collection
        below: dict[str, tuple[str, KnownDocument]] = {}
        # The innermost folder of the order last: a document belongs to that.
        for root in sorted(found.roots):
            stored = await self._documents.below(collection, root)
            below |= {source: (root, known) for source, known in stored.items()}
        for file in found.files:
            below.pop(file.source, None)
        ids = {source: known.document_id for source, (_, known) in below.items()}
        # A file that was named and is not there is a failure, unless what is stored of it is to go.
        named = await self._documents.known(collection, [one.source for one in found.failed]) if prune else {}
        ids |= {source: one.document_id for source, one in named.items()}
        vanished = await trio.to_thread.run_sync(gone, list(ids))
        for source in vanished:
            below.pop(source, None)
        vanished += left_out(found, below)
        if prune:
            for at in range(0, len(vanished), _AT_ONCE):
                some = tuple(ids[source] for source in vanished[at : at + _AT_ONCE])
                await self._documents.remove(Selection(collection=collection, ids=some))
        self._report.gone(vanished, removed=prune)
        removed = set(vanished) if prune else set()
        for failure in found.failed:
            if failure.source not in removed or not failure.cannot:
                self._report.fail(failure.source, failure.reason)
