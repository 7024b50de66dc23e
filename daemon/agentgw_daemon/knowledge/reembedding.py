"""Embedding anew, after `rag.embedder` was changed: every chunk in the background, by what is configured.

What was found with before serves until the new vectors are complete; then the old ones go. All of it is in the
database, so a restart goes on where it was. Others come first: while somebody ingests or a turn runs, a batch is
computed only now and then.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.calls.documents import Reembedding
from agentgw.protocol.errors import RpcError, Timeout, WorkerDied
from agentgw_daemon.knowledge.texts import embedded_text
from agentgw_daemon.observability.supervision import internal_error
from agentgw_daemon.storage.documents.contents import Vectors
from agentgw_daemon.storage.documents.generations import EmbedderIdentity

if TYPE_CHECKING:
    from agentgw_daemon.retrieval.pool import Retrieval
    from agentgw_daemon.storage.database import Database
    from agentgw_daemon.storage.documents.embeddings import ToEmbed
    from agentgw_daemon.workers.protocol import retrieval as wire

log = logging.getLogger(__name__)

# A second or two of work, after which others are looked after again.
_BATCH: Final = 64
_CONTENTS_AT_ONCE: Final = 16
# Time for which others are given the machine before one batch is computed all the same.
_PATIENCE_S: Final = 10.0
_LOOK_S: Final = 1.0
# The model may be on its way, the disk may be full.
_TRY_AGAIN_S: Final = 60.0


class Reembedder:
    """Task that embeds anew, for the time of the daemon."""

    def __init__(self, database: Database, retrieval: Retrieval) -> None:
        self._database = database
        self._retrieval = retrieval
        self._poked = trio.Event()
        self._target: wire.Embedder | None = None
        self._left = 0
        self._error: str | None = None

    @property
    def shown(self) -> Reembedding | None:
        """The progress; None when there is nothing to do."""
        if self._target is None or not self._left:
            return None
        return Reembedding(embedder=self._target.name, chunks_left=self._left, error=self._error)

    def poke(self, embedder_id: str | None = None) -> None:
        """Look again whether there is something to do: after a reload, or when this embedder wrote something."""
        if embedder_id is None or self._target is None or embedder_id != self._target.id:
            self._poked.set()

    async def run(self, others_busy: Callable[[], bool]) -> None:
        """Embeds anew whenever it has to, until cancelled. `others_busy` says whether somebody else wants the
        machine.
        """
        while True:
            self._poked = trio.Event()
            try:
                self._error = None
                await self._complete(others_busy)
            except RpcError as error:
                self._error = error.message
                if self._left:
                    log.warning("re-embedding stopped: %s", error.message)
            except Exception as error:  # noqa: BLE001 - supervision point: it is tried again
                self._error = internal_error(error, "re-embedding").message
            with trio.move_on_after(math.inf if self._error is None else _TRY_AGAIN_S):
                await self._poked.wait()

    async def _complete(self, others_busy: Callable[[], bool]) -> None:
        """Embeds until every content has vectors of the configured embedder. Raises RpcError."""
        embeddings = self._database.embeddings
        if not await embeddings.collections():
            self._left = 0
            return
        target = self._target = await self._retrieval.embedder()
        self._left = await embeddings.count_missing(target.id)
        if self._left:
            log.info("embedding %d chunks anew with %s", self._left, target.name)
        behind = 0
        while contents := await embeddings.missing(target.id, _CONTENTS_AT_ONCE, behind):
            for content in contents:
                if self._poked.is_set() and (await self._retrieval.embedder()).id != target.id:
                    self._poked.set()
                    return
                await self._embed(content, target, others_busy)
                behind = content.content
        self._left = 0
        # Files of old indexes go when the new one is saved.
        await embeddings.keep_only(target.id)
        if behind:
            log.info("every chunk is embedded with %s", target.name)

    async def _embed(self, content: ToEmbed, target: wire.Embedder, others_busy: Callable[[], bool]) -> None:
        rows: list[bytes] = []
        texts = [embedded_text(title_path, text) for title_path, text in content.chunks]
        for at in range(0, len(texts), _BATCH):
            await _let_others_go_first(others_busy)
            try:
                rows += await self._retrieval.embed(texts[at : at + _BATCH], purpose="bulk", embedder=target)
            except (WorkerDied, Timeout) as error:
                log.warning("%s cannot embed a document, which is found by its words only: %s", target.name, error)
                break
        else:
            embedder = EmbedderIdentity(id=target.id, name=target.name, dim=target.dim)
            await self._database.embeddings.add(content.content, Vectors(embedder=embedder, rows=rows))
        self._left = max(0, self._left - len(texts))


async def _let_others_go_first(others_busy: Callable[[], bool]) -> None:
    with trio.move_on_after(_PATIENCE_S):
        while others_busy():
            await trio.sleep(_LOOK_S)
