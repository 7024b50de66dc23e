"""Agents that worked for agents when the daemon ended: the whole tree goes on, or none of it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw.protocol.calls.turns import TurnResult
from agentgw.protocol.errors import TurnCancelled
from agentgw.protocol.events import TurnApproval
from agentgw.protocol.types import Approval, Options
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.inference.engine import EngineEvent, GenerationRequest
from tests.agent.delegating import requests_of, skill, stored, task, team
from tests.agent.scripted import CHANGE, answered, furnish
from tests.patience import PATIENCE_S
from tests.polling import pause, until
from tests.turns.frames import replayed
from tests.turns.house import House, finished
from tests.turns.questions import open_question

pytestmark = pytest.mark.anyio

SKILLS = skill("boss", "lead"), skill("lead", "worker"), skill("worker")
PARTS: dict[str, Any] = {"boss": [task("lead")], "lead": [task("worker")], "worker": [CHANGE]}
REST: dict[str, Any] = {"boss": ["done"], "lead": ["all"], "worker": ["changed"]}


async def waiting(h: House, **params: Any) -> tuple[TurnState, Approval]:
    """A turn whose child's child asks, once the question is in the log of each."""
    turn = await h.start(skill="boss", **params)
    asked = await open_question(h)
    for one in h.turns.running:
        while not any(row.method == "turn.approval" for row in await h.database.log.read(one.turn_id)):
            await pause()
    return turn, asked


@asynccontextmanager
async def killed(folder: Path, **params: Any) -> AsyncIterator[tuple[TurnState, Approval]]:
    """Leaves the traces of a daemon that was killed while a grandchild asked; its files are in `folder`/1."""
    async with team(folder / "0", *SKILLS, **PARTS) as h:
        furnish(h)
        turn, asked = await waiting(h, **params)
        shutil.copytree(folder / "0", folder / "1")
        yield turn, asked
        await h.turns.stop()


async def rest_of(h: House, done: list[str], turn: TurnState) -> TurnResult:
    """The turn's result after a yes, under the next daemon."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answered, h, "allow_once")
        found = h.turns.find(turn.turn_id)
        assert found is not None
        outcome = await found.wait_outcome()
        nursery.cancel_scope.cancel()
    assert isinstance(outcome, TurnResult), outcome
    assert done == ["change x"]
    return outcome


async def test_a_tree_of_a_killed_daemon_goes_on_from_its_question(tmp_path: Path) -> None:
    async with killed(tmp_path, options=Options(seed=7)) as (turn_state, asked):
        pass
    async with team(tmp_path / "1", *SKILLS, **REST) as h:
        done = furnish(h)
        await h.turns.take_up()
        assert [one.depth for one in h.turns.running] == [0, 1, 2]
        assert [one.approval_id for one in h.services.approvals.list()] == [asked.approval_id]
        outcome = await rest_of(h, done, turn_state)
        assert outcome.text == "done"
        assert [call.content for call in outcome.tool_calls] == ["all"]
        assert outcome.usage.prompt_tokens == 30, "two steps of each of three turns"
        turns = await stored(h)
        assert len(turns) == 3
        assert {turn.state for turn in turns} == {"completed"}
        assert len(requests_of(h, "worker")) == 1, "nothing was asked of the model twice"
        assert requests_of(h, "worker")[0].options.seed == 7


async def test_a_question_of_a_child_is_told_once_to_who_watches_the_parent(tmp_path: Path) -> None:
    async with killed(tmp_path) as (turn_state, asked):
        pass
    async with team(tmp_path / "1", *SKILLS, **REST) as h:
        done = furnish(h)
        await h.turns.take_up()
        await rest_of(h, done, turn_state)
        for turn in await stored(h):
            frames = await replayed(h.turns, turn)
            assert frames.count(asked.approval_id.encode()) == 1
            assert TurnApproval.method.encode() in frames


async def test_a_stop_leaves_the_tree_to_the_next_daemon(tmp_path: Path) -> None:
    async with team(tmp_path / "1", *SKILLS, **PARTS) as h:
        furnish(h)
        turn, _ = await waiting(h)
        await h.turns.stop()
    async with team(tmp_path / "1", *SKILLS, **REST) as h:
        done = furnish(h)
        await h.turns.take_up()
        outcome = await rest_of(h, done, turn)
        assert outcome.text == "done"
        assert len(await stored(h)) == 3


async def test_a_child_that_was_writing_ends_with_all_that_waited_for_it(tmp_path: Path) -> None:
    async def never(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        await trio.sleep_forever()
        yield finished()

    async with team(tmp_path / "0", *SKILLS, **{**PARTS, "worker": never}) as h:
        turn_state = await h.start(skill="boss")
        await until(lambda: len(h.engine.requests) >= 3)
        shutil.copytree(tmp_path / "0", tmp_path / "1")
        turn_state.cancel()
    async with team(tmp_path / "1", *SKILLS, **REST) as h:
        await h.turns.take_up()
        assert h.turns.running == ()
        turns = await stored(h)
        assert [turn.state for turn in turns] == ["interrupted"] * 3
        with pytest.raises(TurnCancelled, match="cut off when the daemon ended"):
            await h.turns.stored_outcome(turns[-1])


async def test_a_child_that_had_ended_is_not_asked_again(tmp_path: Path) -> None:
    async with team(tmp_path / "0", *SKILLS, **{**PARTS, "worker": ["3"]}) as h:
        turn_state = await h.start(skill="boss")
        plain, gate = h.database.calls.end, trio.Event()

        async def end(turn_id: str, *rest: Any, **more: Any) -> None:
            # The daemon is killed between the end of the child and that of the call that waited for it.
            gate.set()
            await trio.sleep_forever()
            await plain(turn_id, *rest, **more)

        h.database.calls.end = end  # type: ignore[method-assign]  # where the daemon is killed
        await gate.wait()
        shutil.copytree(tmp_path / "0", tmp_path / "1")
        turn_state.cancel()
    async with team(tmp_path / "1", *SKILLS, **REST) as h:
        await h.turns.take_up()
        found = h.turns.find(turn_state.turn_id)
        assert found is not None
        outcome = await found.wait_outcome()
        assert isinstance(outcome, TurnResult)
        assert requests_of(h, "worker") == []
        lead = next(turn for turn in await stored(h) if turn.skill == "lead")
        detail = await h.database.turns.detail(lead.turn_id)
        assert [call.content for call in detail.tool_calls] == ["3"]
        assert detail.usage.prompt_tokens == 15
        assert outcome.usage.prompt_tokens == 25


async def test_a_child_that_cannot_go_on_is_a_failed_call_of_its_parent(tmp_path: Path) -> None:
    async with killed(tmp_path) as (turn_state, _):
        pass
    async with team(tmp_path / "1", *SKILLS, **REST) as h:
        done = furnish(h)
        await h.database._thread.write(lambda db: db.execute("UPDATE approvals SET expires_at = 'tomorrow'"))
        await h.turns.take_up()
        found = h.turns.find(turn_state.turn_id)
        assert found is not None
        with trio.fail_after(PATIENCE_S):
            outcome = await found.wait_outcome()
        assert isinstance(outcome, TurnResult), outcome
        assert (outcome.text, done) == ("done", [])
        turns = {turn.skill: turn for turn in await stored(h)}
        assert {name: turn.state for name, turn in turns.items()} == {
            "boss": "completed", "lead": "completed", "worker": "interrupted"
        }  # fmt: skip
        (call,) = (await h.database.turns.detail(turns["lead"].turn_id)).tool_calls
        assert call.ok is False
        assert "could not be gone on with" in (call.content or "")


async def test_a_parent_that_cannot_go_on_takes_its_children_along(tmp_path: Path) -> None:
    async with killed(tmp_path) as (turn_state, _):
        pass
    async with team(tmp_path / "1", *SKILLS[1:], **REST) as h:
        done = furnish(h)
        taken = await h.turns.take_up()
        found = next(one for one in taken if one.turn_id == turn_state.turn_id)
        assert not isinstance(await found.wait_outcome(), TurnResult), "its skill is gone"
        await until(lambda: not h.turns.running)
        assert {turn.skill: turn.state for turn in await stored(h)} == {
            "boss": "failed", "lead": "cancelled", "worker": "cancelled"
        }  # fmt: skip
        assert done == []
        assert h.services.approvals.list() == ()
