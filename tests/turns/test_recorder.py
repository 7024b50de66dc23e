"""Record of a running turn: always a beginning of what happened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from agentgw.protocol.calls.turns import PromptHistory
from agentgw.protocol.events import TurnApproval, TurnDelta, TurnEvent, TurnToolCall, TurnToolResult
from agentgw.protocol.types import SessionId, TurnId
from agentgw_daemon.events.turn_log import TurnLog
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.sessions.log import unpack
from agentgw_daemon.storage.sessions.turns import NewTurn
from agentgw_daemon.tool_calling.answers.events import ModelToolCall
from agentgw_daemon.turns.recorder import TurnRecorder, deduplicated_emit

pytestmark = pytest.mark.anyio

CALLED = TurnToolCall(call_id="c1", tool="change", arguments={})
TOLD = TurnToolResult(call_id="c1", ok=True, content="did")


def asked(approval_id: str = "a-1") -> TurnApproval:
    return TurnApproval(
        approval_id=approval_id, call_id="c1", tool="change", arguments={}, cwd="/", expires_at="2026-01-01T00:00:00Z"
    )


@asynccontextmanager
async def stored_turn(folder: Path, *events: TurnEvent) -> AsyncIterator[tuple[TurnState, Database]]:
    async with Database.open(folder) as database:
        turn = (await database.turns.start(NewTurn(message="m", skill="s", model="echo", state="running"))).turn
        yield (
            TurnState(
                turn_id=TurnId(turn.turn_id), session_id=SessionId(turn.session_id), skill="s", model="echo",
                stored=True, detached=False, log=TurnLog(events),
            ),
            database,
        )  # fmt: skip


async def methods(turn: TurnState, database: Database) -> list[str]:
    """The methods on record, which must be without holes."""
    events = [event for row in await database.log.read(turn.turn_id) for event in unpack(row)]
    assert [seq for seq, _, _ in events] == list(range(1, len(events) + 1))
    return [method for _, method, _ in events]


async def test_a_question_is_on_record_with_all_before_it_as_soon_as_it_is_told(tmp_path: Path) -> None:
    async with stored_turn(tmp_path) as (turn, database):
        emit = deduplicated_emit(TurnRecorder(turn.turn_id, turn.log, database))
        await emit(TurnDelta(text="Let me. "), CALLED)
        assert await methods(turn, database) == []
        await emit(asked())
        assert await methods(turn, database) == ["turn.delta", "turn.tool_call", "turn.approval"]


async def test_a_step_is_on_record_together_with_its_words(tmp_path: Path) -> None:
    async with stored_turn(tmp_path) as (turn, database):
        turn_recorder = TurnRecorder(turn.turn_id, turn.log, database)
        recorder = turn_recorder.record(PromptHistory(), (), None)
        await turn.log.append(TurnDelta(text="Let me. "))
        await recorder.said("Let me. ", [ModelToolCall(name="change", arguments="{}")], None)
        assert await methods(turn, database) == ["turn.delta"]
        (step,) = (await database.turns.detail(turn.turn_id)).steps
        assert step.text == "Let me. "


async def test_rows_that_are_written_at_the_same_time_do_not_overlap(tmp_path: Path) -> None:
    async with stored_turn(tmp_path) as (turn, database):
        turn_recorder = TurnRecorder(turn.turn_id, turn.log, database)
        recorder = turn_recorder.record(PromptHistory(), (), None)
        async with trio.open_nursery() as nursery:
            for number in range(10):
                await turn.log.append(TurnDelta(text=f"{number} "), TurnDelta(text="and "))
                nursery.start_soon(turn_recorder.flush)
                nursery.start_soon(recorder.said, "x", [ModelToolCall(name="change", arguments="{}")], None)
        assert await methods(turn, database) == ["turn.delta"] * 20


async def test_what_an_earlier_daemon_has_told_of_calls_is_not_told_again(tmp_path: Path) -> None:
    async with stored_turn(tmp_path, TurnDelta(text="Let me. "), CALLED, asked()) as (turn, database):
        emit = deduplicated_emit(TurnRecorder(turn.turn_id, turn.log, database))
        await emit(CALLED, asked())
        assert turn.log.last_seq == 3
        await emit(asked("a-2"), TOLD, TurnDelta(text="Let me. "))
        assert turn.log.events[3:] == [asked("a-2"), TOLD, TurnDelta(text="Let me. ")]


async def test_a_question_that_a_turn_below_asks_again_is_not_announced_again(tmp_path: Path) -> None:
    async with stored_turn(tmp_path, asked()) as (live, database):
        turn_recorder = TurnRecorder(live.turn_id, live.log, database)
        above = TurnState(
            turn_id=live.turn_id, session_id=live.session_id, skill="s", model="echo", stored=True, detached=True,
            log=live.log, emit=deduplicated_emit(turn_recorder), store=turn_recorder.flush,
        )  # fmt: skip
        below = TurnState(
            turn_id=TurnId("t-2"), session_id=SessionId("s-2"), skill="s", model="echo", stored=True, detached=True,
            parent=above,
        )  # fmt: skip
        await below.announce(asked())
        assert (above.log.last_seq, below.log.last_seq) == (1, 1)


async def test_nothing_is_kept_of_an_ephemeral_turn(tmp_path: Path) -> None:
    async with stored_turn(tmp_path) as (turn, database):
        turn_recorder = TurnRecorder(turn.turn_id, turn.log, None)
        await turn_recorder.flush_often()
        await deduplicated_emit(turn_recorder)(asked())
        await turn_recorder.record(PromptHistory(), (), None).said(
            "x", [ModelToolCall(name="change", arguments="{}")], None
        )
        assert await methods(turn, database) == []
        assert (await database.turns.detail(turn.turn_id)).steps == ()
