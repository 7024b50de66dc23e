"""Rows from which a turn can be run again: stored, copied by a fork, gone with the session."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentgw.protocol.calls.turns import OfferedTool, PromptHistory, StepCall, TurnStartParams, TurnStep
from agentgw.protocol.types import File
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.sessions.steps import ShownPrompt, StepRows, write_steps
from agentgw_daemon.storage.sessions.turns import NewTurn, TurnEnd
from tests.storage.direct import Direct, run, talk

pytestmark = pytest.mark.anyio

CALLED = TurnStep(text="", calls=(StepCall(tool="look", arguments='{"a":1}'),), prompt_sha256="ab")
TOLD = TurnStep(text="", calls=(StepCall(tool="look", arguments='{"a":1}', ok=True, content="é"),), prompt_sha256="ab")
ANSWER = TurnStep(text="yes", finish_reason="stop")
SHOWN = ShownPrompt(
    history=PromptHistory(left_out_turns=1, summarised_turns=2, summary="s"),
    tools=(OfferedTool(name="look", description="Look.", parameters={"type": "object"}),),
)


async def begun(database: Database, **request: object) -> str:
    asked = TurnStartParams(message="", max_iterations=3, **request)  # type: ignore[arg-type]  # a test's own
    new = NewTurn(message="hi", skill="s", model="echo", request=asked, seed=7)
    return (await database.turns.start(new)).turn.turn_id


async def ended(database: Database, turn_id: str, rows: StepRows | None) -> None:
    end = TurnEnd(state="completed", finish_reason="stop", text="yes")
    await database.turns.finish(turn_id, end, steps=rows)


async def test_steps_come_back_with_what_was_shown_and_asked_for(database: Database) -> None:
    files = (File(name="a.txt", text=""),)
    turn_id = await begun(database, files=files, tools=("look",), schema={"type": "string"}, system="")
    await database.steps.write(turn_id, StepRows(first=1, steps=(CALLED,), shown=SHOWN))
    await database.steps.write(turn_id, StepRows(first=1, steps=(TOLD,)))
    await ended(database, turn_id, StepRows(first=2, steps=(ANSWER,)))
    detail = await database.turns.detail(turn_id)
    assert detail.steps == (TOLD, ANSWER)
    assert (detail.history, detail.tools) == (SHOWN.history, SHOWN.tools)
    assert (detail.files, detail.tools_named, detail.schema) == (("a.txt",), True, {"type": "string"})
    assert (detail.own_system, detail.max_iterations, detail.seed) == (True, 3, 7)


async def test_a_turn_of_before_has_none_of_it(database: Database) -> None:
    turn_id = (await database.turns.start(NewTurn(message="hi", skill="s", model="echo"))).turn.turn_id
    await ended(database, turn_id, None)
    detail = await database.turns.detail(turn_id)
    assert (detail.steps, detail.tools, detail.history) == ((), (), None)
    assert (detail.max_iterations, detail.own_system, detail.tools_named) == (None, False, False)


async def test_a_fork_has_steps_and_calls_of_its_own(database: Database) -> None:
    turn_id = await begun(database)
    await ended(database, turn_id, StepRows(first=1, steps=(TOLD, ANSWER), shown=SHOWN))
    session_id = (await database.turns.get(turn_id)).session_id
    copy = await database.sessions.fork(session_id)
    await database.sessions.delete(session_id)
    copied = await database.turns.latest(copy.session_id)
    assert copied is not None
    detail = await database.turns.detail(copied.turn_id)
    assert (detail.steps, detail.tools, detail.history) == ((TOLD, ANSWER), SHOWN.tools, SHOWN.history)
    assert (detail.seed, detail.max_iterations) == (7, 3)


def test_a_set_of_tools_is_kept_once_and_as_long_as_a_turn_has_it(tmp_path: Path) -> None:
    store = DatabaseFiles(tmp_path, "WAL")
    store.open()
    direct = Direct(store)
    started = [talk(direct, "hi", "yes").turn for _ in range(2)]

    def sets() -> int:
        return int(store.read(lambda db: db.execute("SELECT count(*) FROM toolsets").fetchone()[0]))

    for turn in started:
        rows = StepRows(first=1, steps=(ANSWER,), shown=SHOWN)
        store.write(lambda db, turn=turn, rows=rows: write_steps(db, turn.turn_id, rows))  # type: ignore[misc]  # bound early
    assert sets() == 1
    run(direct.sessions.delete(started[0].session_id))
    assert sets() == 1
    run(direct.sessions.delete(started[1].session_id))
    assert sets() == 0
    store.close()
