"""Ingests of the daemon: admission, how many at once, and their results."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.errors import InvalidParams, RpcError
from agentgw_daemon.knowledge.ingest.comparing import WantedLabels
from agentgw_daemon.knowledge.ingest.gathering import IngestParts, Order
from agentgw_daemon.knowledge.ingest.intake import Intake, TellIngest
from agentgw_daemon.knowledge.ingest.locks import ReadWriteLock
from agentgw_daemon.knowledge.ingest.progress import ProgressMeter
from agentgw_daemon.knowledge.ingest.report import IngestReport
from agentgw_daemon.knowledge.sources import path_of
from agentgw_daemon.retrieval.pool import OVERLAP_SHARE
from agentgw_daemon.storage.documents.selection import labels_of
from agentgw_daemon.workers.protocol import retrieval as wire

if TYPE_CHECKING:
    from agentgw.protocol.calls.documents import DocumentIngestParams, IngestResult
    from agentgw_daemon.config.settings import RagSection
    from agentgw_daemon.knowledge.ingest.forbidden import Forbidden
    from agentgw_daemon.retrieval.pool import Retrieval
    from agentgw_daemon.storage.database import Database

# They share the workers by turns; more of them would only hold more in memory.
MOST_AT_ONCE: Final = 4
# Grows when the same bytes are cut in another way, so that what was cut before is cut again.
_CHUNKING_VERSION: Final = 3


class Ingest:
    """Intakes of the daemon. More than a few wait for each other in their order."""

    def __init__(
        self,
        database: Database,
        retrieval: Retrieval,
        forbidden: Forbidden,
        settings: Callable[[], RagSection],
        *,
        on_end: Callable[[str], None],
    ) -> None:
        """`settings` gives those in force; `on_end` is told which embedder was used, as it may have been replaced
        meanwhile.
        """
        self._parts = IngestParts(database, retrieval, forbidden, ReadWriteLock())
        self._retrieval = retrieval
        self._settings = settings
        self._limiter = trio.CapacityLimiter(MOST_AT_ONCE)
        self._on_end = on_end

    @property
    def busy(self) -> bool:
        """Tells whether anybody ingests at this moment."""
        return self._limiter.borrowed_tokens > 0

    async def run(self, params: DocumentIngestParams, tell: TellIngest | None = None) -> IngestResult:
        """Carry the order out; `tell` hears how far it is, at most ten times a second.

        Raises InvalidParams, ModelUnavailable before anything is read, and what ends an intake.
        """
        order = order_of(params)
        embedder = await self._retrieval.embedder()
        wanted = self._wanted(params, embedder)
        report = IngestReport()
        async with self._limiter:
            try:
                await Intake(self._parts, order, wanted, embedder, meter=ProgressMeter(), report=report).run(tell)
            except RpcError as error:
                if report.stored:
                    kept = f"{report.stored} documents were stored before that and stay"
                    error.hint = f"{error.hint}; {kept}" if error.hint else kept
                raise
            finally:
                self._on_end(embedder.id)
        return report.result()

    def _wanted(self, params: DocumentIngestParams, embedder: wire.Embedder) -> WantedLabels:
        most = wire.room_tokens(embedder, embedder.document_prompt)
        if params.chunk_size is not None and params.chunk_size > most:
            reason = f"is more than the {most} tokens that {embedder.name} reads"
            raise InvalidParams(f"Invalid params: chunk_size {reason}", path="chunk_size", reason=reason)
        tokens = params.chunk_size or min(self._settings().chunk_size, most)
        return WantedLabels(
            collection=params.collection,
            chunk_tokens=tokens,
            chunking=f"{_CHUNKING_VERSION}/{tokens}/{tokens // OVERLAP_SHARE}",
            skills=None if params.skills is None else labels_of("skill", params.skills),
            tags=None if params.tags is None else labels_of("tag", params.tags),
        )


def order_of(params: DocumentIngestParams) -> Order:
    """The order that the parameters ask for. Raises InvalidParams."""
    if params.upload is not None:
        raise _invalid("upload", "is taken on the connection that it was sent on")
    if (params.text is None) == (not params.paths):
        raise _invalid("paths", "or text is needed" if params.text is None else "and text exclude each other")
    if params.text is not None and params.source is None:
        raise _invalid("source", "is needed: what the text is to be called")
    if params.source is not None and len(params.paths) > 1:
        raise _invalid("source", "names one document, not several")
    paths = tuple(filter(None, map(path_of, params.paths)))
    if len(paths) < len(params.paths):
        raise _invalid("paths", "must be absolute")
    return Order(paths=paths, text=params.text, source=params.source, exclude=params.exclude, prune=params.prune)


def _invalid(path: str, reason: str) -> InvalidParams:
    return InvalidParams(f"Invalid params: {path} {reason}", path=path, reason=reason)
