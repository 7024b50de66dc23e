"""Summaries stored beside the turns they stand for."""

from __future__ import annotations

import pytest

from agentgw_daemon.storage.database import Database
from tests.storage.sessions.answered import answered

pytestmark = pytest.mark.anyio


async def test_the_latest_is_the_one_that_stands_for_the_most(database: Database) -> None:
    first = await database.turns.get(await answered(database))
    second = await answered(database, session_id=first.session_id)
    assert await database.summaries.latest(first.session_id) is None
    await database.summaries.add(first.session_id, second, "both")
    await database.summaries.add(first.session_id, first.turn_id, "one")
    found = await database.summaries.latest(first.session_id)
    assert found is not None
    assert (found.upto_turn_id, found.text) == (second, "both")


async def test_a_turn_of_another_session_gets_none(database: Database) -> None:
    first = await database.turns.get(await answered(database))
    await database.summaries.add(first.session_id, await answered(database), "x")
    await database.summaries.add(first.session_id, "t-gone", "x")
    assert await database.summaries.latest(first.session_id) is None


async def test_a_fork_has_the_summaries_of_the_turns_it_has_and_keeps_them(database: Database) -> None:
    first = await database.turns.get(await answered(database))
    second = await answered(database, session_id=first.session_id)
    await database.summaries.add(first.session_id, first.turn_id, "one")
    await database.summaries.add(first.session_id, second, "both")
    short = await database.sessions.fork(first.session_id, at=first.turn_id)
    whole = await database.sessions.fork(first.session_id)
    await database.sessions.delete(first.session_id)
    assert await database.summaries.latest(first.session_id) is None
    for fork, text in ((short, "one"), (whole, "both")):
        found = await database.summaries.latest(fork.session_id)
        assert found is not None
        assert found.text == text
        assert found.upto_turn_id == (await database.turns.list(fork.session_id)).turns[0].turn_id


async def test_the_last_that_was_asked_for_is_taken_back_and_kept_for_prompts_that_do_not_fit(
    database: Database,
) -> None:
    first = await database.turns.get(await answered(database))
    session_id = first.session_id
    second, third = [await answered(database, session_id=session_id) for _ in range(2)]
    await database.summaries.add(session_id, first.turn_id, "one", asked=True)
    await database.summaries.add(session_id, second, "two", asked=True)
    await database.summaries.add(session_id, third, "three")
    texts = []
    while len(texts) < 3 and (found := await database.summaries.latest(session_id, asked=True)) is not None:
        taken = await database.summaries.take_back(session_id)
        assert taken == found
        texts.append(found.text)
    assert texts == ["two", "one"]
    assert await database.summaries.take_back(session_id) is None
    left = await database.summaries.latest(session_id)
    assert (left and left.text, left and left.asked) == ("three", False)


async def test_a_fork_has_those_that_were_asked_for(database: Database) -> None:
    first = await database.turns.get(await answered(database))
    await database.summaries.add(first.session_id, first.turn_id, "one", asked=True)
    fork = await database.sessions.fork(first.session_id)
    found = await database.summaries.latest(fork.session_id, asked=True)
    assert found is not None
    assert found.text == "one"
