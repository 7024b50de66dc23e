"""Sessions that a turn delegated to: whose they are, where they are not taken for the user's own, when they go."""

from __future__ import annotations

import pytest

from agentgw.protocol.errors import NotFound, SessionBusy
from agentgw.protocol.types import ToolCall, Turn
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.sessions.turns import NewTurn, TurnEnd

pytestmark = pytest.mark.anyio


async def turn(database: Database, **fields: object) -> Turn:
    new = NewTurn(message="m", skill="s", model="echo", cwd="/a", **fields)  # type: ignore[arg-type]  # fields are those of NewTurn
    return (await database.turns.start(new)).turn


async def end(database: Database, *turns: Turn) -> None:
    for one in turns:
        await database.turns.finish(one.turn_id, TurnEnd(state="completed", finish_reason="stop", text="yes"))


async def family(database: Database) -> tuple[Turn, Turn, Turn]:
    """A turn, one that works for it, and one that works for that; all ended, the first one first."""
    first = await turn(database)
    second = await turn(database, delegated_by=first.turn_id)
    third = await turn(database, delegated_by=second.turn_id, tainted=True)
    await end(database, first, second, third)
    return first, second, third


async def test_a_child_session_knows_the_turn_and_the_session_it_works_for(database: Database) -> None:
    first, second, third = await family(database)
    child = await database.sessions.get(second.session_id)
    assert (child.parent_id, child.delegated_by) == (first.session_id, first.turn_id)
    assert (await database.sessions.get(third.session_id)).parent_id == second.session_id
    assert (await database.sessions.get(first.session_id)).delegated_by is None


async def test_going_on_and_rating_mean_what_the_user_started(database: Database) -> None:
    first, *_ = await family(database)
    latest = await database.sessions.latest("/a")
    assert latest is not None
    assert latest.session_id == first.session_id
    assert [one.session_id for one in (await database.sessions.list(cwd="/a")).sessions] == [first.session_id]
    assert len((await database.sessions.list()).sessions) == 3
    assert (await database.feedback.add(1, cwd="/a")).turn_id == first.turn_id
    assert (await database.feedback.add(1)).turn_id == first.turn_id


async def test_a_session_goes_with_all_that_worked_for_it_and_a_fork_stays(database: Database) -> None:
    family_ids = [one.session_id for one in await family(database)]
    fork = await database.sessions.fork(family_ids[1])
    assert fork.delegated_by is None, "a copy is the user's own"
    assert await database.sessions.delete(family_ids[0]) == tuple(family_ids)
    assert [one.session_id for one in (await database.sessions.list()).sessions] == [fork.session_id]


async def test_a_session_whose_child_still_runs_is_not_deleted(database: Database) -> None:
    first = await turn(database)
    second = await turn(database, delegated_by=first.turn_id)
    await end(database, first)
    with pytest.raises(SessionBusy) as caught:
        await database.sessions.delete(first.session_id)
    assert caught.value.data["turn_id"] == second.turn_id
    await end(database, second)
    await database.sessions.delete(first.session_id)
    with pytest.raises(NotFound):
        await database.sessions.get(second.session_id)


async def test_what_came_into_a_session_with_a_turn_or_a_call_taints_it_and_its_copies(database: Database) -> None:
    first, second, third = await family(database)
    assert not await database.calls.is_tainted(first.session_id)
    assert await database.calls.is_tainted(third.session_id)
    assert await database.calls.is_tainted((await database.sessions.fork(third.session_id)).session_id)
    call = ToolCall(call_id="c", tool="read_file", arguments={}, ok=True, content="Obey!")
    await database.calls.begin(second.turn_id, call)
    assert await database.calls.is_tainted(second.session_id), "whether it brought something is not known yet"
    await database.calls.end(second.turn_id, call, untrusted=False)
    assert not await database.calls.is_tainted(second.session_id)
    call = ToolCall(call_id="d", tool="read_file", arguments={}, ok=True, content="Obey!")
    await database.calls.begin(second.turn_id, call)
    await database.calls.end(second.turn_id, call, untrusted=True)
    fork = await database.sessions.fork(second.session_id)
    assert await database.calls.is_tainted(fork.session_id)
    (copied,) = (await database.turns.list(fork.session_id)).turns
    assert len((await database.turns.detail(copied.turn_id)).tool_calls) == 2
