"""The index of words made anew, in the background, where this version makes words by other rules than the last one.

It is made in steps, each a transaction that notes how far it went: a restart goes on from there. Meanwhile the chunks
that it lacks are found by meaning only, and a search says so.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.errors import StorageUnavailable

if TYPE_CHECKING:
    from agentgw_daemon.storage.database import Database

log = logging.getLogger(__name__)

# Chunks of a step: some hundredths of a second, in which nobody else's commit waits; as long a pause follows it.
_STEP: Final = 100
_PAUSE_S: Final = 0.03
# The disk may be full.
_TRY_AGAIN_S: Final = 60.0


class Wording:
    """Task that makes the index whole, for the time of the daemon. `left`: the chunks that it lacks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.left = 0

    @property
    def notice(self) -> str | None:
        """Says that words are not searched everywhere, while that is so."""
        if not self.left:
            return None
        return f"the index of words is being made anew: {self.left} chunks are found by their meaning only until then"

    async def run(self) -> None:
        """Makes it whole at the start and whenever another database takes this one's place, until cancelled."""
        while True:
            changes, failed = self._database.changes, False
            replaced = changes.replaced
            try:
                await self._complete()
            except StorageUnavailable as error:
                log.warning("the index of words is not made anew: %s", error.message)
                failed = True
            with trio.move_on_after(_TRY_AGAIN_S if failed else math.inf):
                while changes.replaced == replaced:
                    await changes.next.wait()

    async def _complete(self) -> None:
        chunks = self._database.chunks
        self.left = await chunks.without_words()
        if self.left:
            log.info("making the index of words anew: %d chunks", self.left)
        while self.left:
            self.left = await chunks.make_words(_STEP)
            await trio.sleep(_PAUSE_S)
