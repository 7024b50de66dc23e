"""One running turn's side of the database: its events as they were numbered, its model's steps, its end.

What is on record of a turn is always a beginning of what happened: a step is stored with the words that led to it, a
question with all before it. So the next daemon can go on where this one ended (`resume`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.calls.turns import OfferedTool, PromptHistory, TurnStep
from agentgw.protocol.errors import RpcError
from agentgw.protocol.events import TurnApproval, TurnEvent, TurnToolCall, TurnToolResult
from agentgw.protocol.records.schema import dump
from agentgw_daemon.agent.loop import Emit
from agentgw_daemon.agent.recorder import StepRecorder
from agentgw_daemon.events.stored_event import StoredEvent
from agentgw_daemon.observability.failpoint import failpoint
from agentgw_daemon.storage.sessions.log import LogRow, pack
from agentgw_daemon.storage.sessions.steps import ShownPrompt, StepRows
from agentgw_daemon.storage.sessions.turns import TurnEnd

if TYPE_CHECKING:
    from agentgw.protocol.types import TurnId
    from agentgw_daemon.events.turn_log import TurnLog
    from agentgw_daemon.storage.database import Database

log = logging.getLogger(__name__)

# Seconds of a running answer that a crash may cost. Nothing is written while nothing is said.
FLUSH_S: Final = 1.0


class TurnRecorder:
    """The turn's side of the database: nothing at all for an ephemeral turn. What its `log` has when it
    is made is stored already.
    """

    def __init__(self, turn_id: TurnId, log: TurnLog, database: Database | None) -> None:
        self.database: Final = database
        self.log: Final = log
        self._turn_id: Final = turn_id
        # Events that came from the database need not go there again.
        self._written = log.last_seq
        # Rows are cut where the one before ended.
        self._writing = trio.Lock()
        # Of a turn that ends before its model is shown anything there is no step.
        self._steps = StepRecorder(self._write_steps, None)

    def record(
        self, history: PromptHistory, tools: tuple[OfferedTool, ...], past: Sequence[TurnStep] | None
    ) -> StepRecorder:
        """Keep the model's steps from now on. `past`: an earlier daemon kept these, and what the model was shown."""
        shown = ShownPrompt(history=history if history != PromptHistory() else None, tools=tools)
        self._steps = StepRecorder(self._write_steps, shown if past is None else None, past or ())
        return self._steps

    async def flush_often(self) -> None:
        """Write new events at most once a second, and only when there are any."""
        if self.database is None:
            return
        while True:
            await self.log.wait_longer_than(self._written)
            await trio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write new events."""
        if self.database is None:
            return
        async with self._writing:
            rows, upto = self._rows()
            try:
                await self.database.log.append(self._turn_id, rows)
                self._written = upto
            except RpcError as error:
                # The end of the turn writes everything that is still missing, or says that it could not.
                log.warning("turn %s: log not written: %s", self._turn_id, error.message)

    async def _write_steps(self, steps: StepRows) -> None:
        """Writes steps in one commit with what was said until then, so that a step is never stored without
        its words.
        """
        if self.database is None:
            return
        async with self._writing:
            rows, upto = self._rows()
            await self.database.steps.write(self._turn_id, steps, rows)
            self._written = upto

    async def finish(self, end: TurnEnd) -> None:
        """Write the turn's end, with all that is still missing."""
        if self.database is not None:
            failpoint("turn-unended")
            steps = self._steps.rest()
            async with self._writing:
                rows, upto = self._rows()
                await self.database.turns.finish(self._turn_id, end, rows, steps)
                self._written = upto

    async def leave(self) -> None:
        """Write what there is, and leave the turn to the next daemon."""
        await self.flush()
        if self.database is not None:
            try:
                await self.database.unfinished.leave(self._turn_id)
            except RpcError as error:
                log.warning("turn %s: not left as it should be: %s", self._turn_id, error.message)

    async def give_up(self, reason: str) -> None:
        """Store that the turn failed, where its end cannot be stored."""
        if self.database is not None:
            try:
                await self.database.turns.fail(self._turn_id, reason)
            except RpcError as error:
                # The next daemon finds it as one that was cut off.
                log.warning("turn %s: its end is not stored: %s", self._turn_id, error.message)

    def _rows(self) -> tuple[tuple[LogRow, ...], int]:
        events = self.log.events
        first = self._written
        numbered = (StoredEvent(seq, event.method, dump(event)) for seq, event in enumerate(events[first:], first + 1))
        return pack(numbered), len(events)


def deduplicated_emit(turn_recorder: TurnRecorder) -> Emit:
    """Tell the watchers, but for what an earlier daemon has said already of calls and questions."""
    said = {key for event in turn_recorder.log.events if (key := _key(event)) is not None}

    async def emit(*events: TurnEvent) -> None:
        # Mostly an earlier daemon said nothing, and then a delta costs nothing here.
        await turn_recorder.log.append(*([event for event in events if _key(event) not in said] if said else events))
        if any(isinstance(event, TurnApproval) for event in events):
            # So that an answer never is on record without its question, and numbers stay what they were.
            await turn_recorder.flush()

    return emit


def _key(event: TurnEvent) -> tuple[str, str] | None:
    """A key of events of which there is one."""
    match event:
        case TurnToolCall(call_id=one) | TurnToolResult(call_id=one) | TurnApproval(approval_id=one):
            return event.method, one
        case _:
            return None
