"""Turns of a daemon that ended: some can be gone on with, the others are interrupted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agentgw.protocol.calls.turns import StepCall, TurnStartParams, TurnStep
from agentgw.protocol.types import Approval, ToolCall
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.sessions.approvals import Approvals, StoredApproval
from agentgw_daemon.storage.sessions.calls import Calls
from agentgw_daemon.storage.sessions.log import TurnLogStore, pack
from agentgw_daemon.storage.sessions.steps import ShownPrompt, StepRows, StepStore
from agentgw_daemon.storage.sessions.turns import NewTurn, TurnStore
from tests.storage.direct import Direct, run

pytestmark = pytest.mark.anyio

CALLED = TurnStep(text="Let me. ", calls=(StepCall(tool="change", arguments="{}"),))
TOLD = TurnStep(text="Let me. ", calls=(StepCall(tool="change", arguments="{}", ok=True, content="did"),))
CALL = ToolCall(call_id="c1", tool="change", arguments={})
STARTED = (1, "turn.started", {"skill": "s", "model": "echo"})
SAID = (2, "turn.delta", {"text": "Let me. ", "channel": "answer"})
CALLING = (3, "turn.tool_call", {"call_id": "c1", "tool": "change", "arguments": {}})
ANSWERING = (4, "turn.delta", {"text": "I did", "channel": "answer"})


class Left:
    """A turn, and what its daemon wrote of it."""

    def __init__(self, direct: Database | Direct) -> None:
        runner = direct if isinstance(direct, Direct) else direct._thread
        self.turns, self.steps, self.calls = TurnStore(runner), StepStore(runner), Calls(runner)
        self.approvals, self.log = Approvals(runner), TurnLogStore(runner)
        self.turn_id = self.session_id = ""

    async def start(self) -> None:
        request = TurnStartParams(message="", max_iterations=10)
        new = NewTurn(message="m", skill="s", model="echo", state="running", request=request)
        turn = (await self.turns.start(new)).turn
        self.turn_id, self.session_id = turn.turn_id, turn.session_id

    async def step(self, step: TurnStep = CALLED) -> None:
        rows = StepRows(first=1, steps=(step,), shown=ShownPrompt())
        await self.steps.write(self.turn_id, rows, pack([STARTED, SAID]))

    async def begin(self) -> None:
        await self.calls.begin(self.turn_id, CALL)

    async def end(self) -> None:
        await self.calls.end(self.turn_id, CALL, untrusted=False)

    async def ask(self) -> None:
        approval = Approval(
            approval_id="a-1", tool="change", arguments={}, cwd="/", turn_id=self.turn_id, session_id=self.session_id,
            asked_at="2026-01-01T00:00:00.000Z", expires_at="2026-01-01T00:02:00.000Z",
        )  # fmt: skip
        await self.approvals.add(StoredApproval(approval=approval, call_id="c1", digest="d"))

    async def answering(self) -> None:
        await self.log.append(self.turn_id, pack([CALLING, ANSWERING]))


async def called(left: Left) -> None:
    await left.start()
    await left.step()


async def asked(left: Left) -> None:
    await called(left)
    await left.ask()


async def begun(left: Left) -> None:
    await asked(left)
    await left.begin()


async def made(left: Left) -> None:
    await begun(left)
    await left.end()


async def told(left: Left) -> None:
    await made(left)
    await left.step(TOLD)


async def answering(left: Left) -> None:
    await told(left)
    await left.answering()


Do = Callable[[Left], Awaitable[None]]


@pytest.mark.parametrize("do", [called, asked, made, told])
async def test_what_is_on_record_in_full_waits_to_be_gone_on_with(data: Path, do: Do) -> None:
    async with Database.open(data) as database:
        left = Left(database)
        await do(left)
    async with Database.open(data) as database:
        assert database.opened.interrupted == ()
        assert await database.unfinished.ids() == (left.turn_id,)
        found = await database.unfinished.read(left.turn_id)
        assert (found.detail.turn.state, found.upto_seq) == ("waiting", 2)
        assert found.request.max_iterations == 10
        assert [row.method for row in found.log] == ["turn.started", "turn.delta"]


@pytest.mark.parametrize("do", [Left.start, begun, answering])
async def test_what_was_cut_off_in_the_middle_is_interrupted(data: Path, do: Do) -> None:
    async with Database.open(data) as database:
        left = Left(database)
        await do(left)
    async with Database.open(data) as database:
        assert database.opened.interrupted == (left.turn_id,)
        assert await database.unfinished.ids() == ()
        assert (await database.turns.get(left.turn_id)).state == "interrupted"


@pytest.mark.parametrize(
    ("do", "state"), [(called, "running"), (asked, "waiting"), (begun, "running"), (told, "running")]
)
async def test_a_turn_waits_from_its_question_to_the_beginning_of_the_call(
    database: Database, do: Do, state: str
) -> None:
    left = Left(database)
    await do(left)
    assert (await database.turns.get(left.turn_id)).state == state


async def test_a_turn_waits_until_the_model_is_told_of_a_no(database: Database) -> None:
    left = Left(database)
    await asked(left)
    (stored,) = await database.approvals.open_of(left.turn_id)
    await database.approvals.settle(stored, "deny")
    assert await database.approvals.open_of(left.turn_id) == ()
    assert (await database.turns.get(left.turn_id)).state == "waiting"
    await left.step(TOLD)
    assert (await database.turns.get(left.turn_id)).state == "running"


async def test_a_turn_that_is_given_up_keeps_what_it_said(database: Database) -> None:
    left = Left(database)
    await asked(left)
    await database.unfinished.give_up(left.turn_id)
    detail = await database.turns.detail(left.turn_id)
    assert (detail.turn.state, detail.turn.last_seq, detail.text) == ("interrupted", 2, "Let me. ")
    assert (
        await database.turns.start(NewTurn(message="n", skill="s", model="echo", session_id=left.session_id))
    ).created


def test_a_backup_does_not_tell_what_was_left_to_do(tmp_path: Path) -> None:
    store = DatabaseFiles(tmp_path, "WAL")
    store.open()
    left = Left(Direct(store))
    run(asked(left))
    store.backup()
    store.close()
    store.files.database.write_bytes(b"noise" * 1000)
    store = DatabaseFiles(tmp_path, "WAL")
    store.open()
    assert store.take_recovery() is not None
    assert store.interrupted == (left.turn_id,)
    store.close()


def test_a_file_that_is_replaced_while_the_daemon_runs_does_not_either(tmp_path: Path) -> None:
    store = DatabaseFiles(tmp_path, "WAL")
    store.open()
    left = Left(Direct(store))
    run(asked(left))
    store.backup()
    store._replace("for the test")
    assert store.interrupted == (left.turn_id,)
    store.close()
