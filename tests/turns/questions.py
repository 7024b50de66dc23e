"""Open questions of turns that wait."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from agentgw.protocol.types import Approval
from agentgw_daemon.events.turn_state import TurnState
from tests.agent.scripted import furnish, script
from tests.polling import pause
from tests.turns.house import House, Script, house


async def open_question(h: House) -> Approval:
    """The first question, once nothing about it is still to be written."""
    while not (found := h.services.approvals.list()):
        await pause()
    while not any(row.method == "turn.approval" for row in await h.database.log.read(found[0].turn_id or "")):
        await pause()
    return found[0]


class Killed:
    """A daemon's files as they were when it was killed, and the daemons that come after it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.kills = 0

    def kill(self, number: int = 0) -> None:
        """Keep the files of this daemon as they are now; what it does afterwards is lost."""
        self.kills += 1
        shutil.copytree(self._folder / f"{number}", self._folder / f"{self.kills}")

    def first(self, *steps: Any) -> AbstractAsyncContextManager[House]:
        """A daemon whose model speaks these steps."""
        return self.run(script(*steps))

    @asynccontextmanager
    async def run(self, speak: Script) -> AsyncIterator[House]:
        """The same, with any model."""
        async with house(self._folder / "0", speak) as h:
            yield h
            await h.turns.stop()

    @asynccontextmanager
    async def next(self, *steps: Any, number: int = 1) -> AsyncIterator[tuple[House, list[str]]]:
        """A daemon on the kept files, before it has taken anything up, and what its tools do."""
        async with house(self._folder / f"{number}", script(*steps)) as h:
            yield h, furnish(h)


async def taken_up(h: House) -> TurnState:
    (turn,) = await h.turns.take_up()
    return turn
