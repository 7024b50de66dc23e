"""Upkeep of a daemon that runs for months, now and then, while nobody waits: it forgets, and gives space back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.errors import StorageUnavailable
from agentgw_daemon.system.ids import time_text

if TYPE_CHECKING:
    from agentgw_daemon.config.settings import StorageSection
    from agentgw_daemon.storage.database import Database

log = logging.getLogger(__name__)

# Rarely enough to be no burden to a sleeping processor.
FIRST_S: Final = 600.0
EVERY_S: Final = 6 * 3600.0
# A vacuum that takes longer than this will not be finished by trying again soon.
_VACUUM_S: Final = 60.0
_DAY_S: Final = 86_400.0


class Upkeep:
    """The upkeep of one database. `is_idle` tells whether a moment suits."""

    def __init__(self, database: Database, settings: Callable[[], StorageSection], is_idle: Callable[[], bool]) -> None:
        self._database = database
        self._settings = settings
        self._is_idle = is_idle
        # The last turn whose log was forgotten in this daemon's life.
        self._forgotten_n = 0

    async def run(self) -> None:
        """Do the upkeep from time to time, until cancelled."""
        await trio.sleep(FIRST_S)
        while True:
            try:
                await self.once()
            except StorageUnavailable as error:
                log.warning("no upkeep: %s", error.message)
            await trio.sleep(EVERY_S)

    async def once(self) -> None:
        """Forget what is older than the settings say, then give space back. Raises StorageUnavailable."""
        if days := self._settings().keep_turn_logs_days:
            await self._forget(days)
        if not self._is_idle():
            return
        started = trio.current_time()
        before = self._database.size_bytes()
        if await self._database.vacuum(_VACUUM_S, self._is_idle):
            now = self._database.size_bytes()
            log.info("vacuumed: %d bytes of %d in %.1f s", before - now, before, trio.current_time() - started)

    async def _forget(self, days: float) -> None:
        before = time_text(max(time.time() - days * _DAY_S, 0.0))
        rows = 0
        while True:
            gone, last_n = await self._database.forget_logs(before, self._forgotten_n)
            rows += gone
            if last_n is None:
                break
            self._forgotten_n = last_n
        if rows:
            log.info("forgot the logs of turns that ended before %s: %d rows", before, rows)
