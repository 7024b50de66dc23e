"""Ratings: one a turn, counted by skill and model, gone with the session."""

from __future__ import annotations

import pytest

from agentgw.protocol.errors import InvalidParams, NotFound
from agentgw.protocol.types import FeedbackCount
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.sessions.turns import NewTurn
from tests.storage.sessions.answered import answered

pytestmark = pytest.mark.anyio


async def test_a_rating_tells_what_was_rated(database: Database) -> None:
    turn_id = await answered(database, "why? " * 100)
    given = await database.feedback.add(-1, turn_id=turn_id, comment="no reason")
    assert (given.turn_id, given.rating, given.comment) == (turn_id, -1, "no reason")
    assert (given.skill, given.model) == ("s", "echo")
    assert given.message == ("why? " * 100)[:200]
    assert (await database.feedback.list()).ratings == (given,)


async def test_a_second_rating_replaces_the_first_with_its_comment(database: Database) -> None:
    turn_id = await answered(database)
    await database.feedback.add(-1, turn_id=turn_id, comment="bad")
    second = await database.feedback.add(1, turn_id=turn_id)
    assert second.comment is None
    assert (await database.feedback.list()).ratings == (second,)


async def test_without_a_turn_the_last_that_ended_is_rated(database: Database) -> None:
    last = [await answered(database, cwd="/a"), await answered(database, cwd="/b")][1]
    await database.turns.start(NewTurn(message="still running", skill="s", model="echo"))
    assert (await database.feedback.add(1)).turn_id == last


async def test_a_directory_means_the_sessions_started_there(database: Database) -> None:
    here = await answered(database, cwd="/a")
    await answered(database, cwd="/b")
    assert (await database.feedback.add(1, cwd="/a")).turn_id == here
    with pytest.raises(NotFound, match="/c"):
        await database.feedback.add(1, cwd="/c")


async def test_a_session_stands_for_its_last_turn(database: Database) -> None:
    first = await database.turns.get(await answered(database))
    second = await answered(database, session_id=first.session_id)
    await answered(database)
    assert (await database.feedback.add(1, turn_id=first.session_id)).turn_id == second


async def test_nothing_to_rate_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound, match="nothing has been answered"):
        await database.feedback.add(1)
    with pytest.raises(NotFound, match="no turn t-none"):
        await database.feedback.add(1, turn_id="t-none")


async def test_pages_and_filters_list_the_latest_first(database: Database) -> None:
    made = []
    for number in range(5):
        turn_id = await answered(database, skill="even" if number % 2 == 0 else "odd", model=f"m{number}")
        made.append(await database.feedback.add(1 if number < 3 else -1, turn_id=turn_id))
    made.sort(key=lambda one: (one.created_at, one.turn_id), reverse=True)
    listed, before = [], None
    while len(listed) <= len(made):
        page = await database.feedback.list(limit=2, before=before)
        assert len(page.ratings) <= 2
        listed += page.ratings
        if (before := page.next) is None:
            break
    assert listed == made
    assert {one.model for one in (await database.feedback.list(skill="odd")).ratings} == {"m1", "m3"}
    assert {one.model for one in (await database.feedback.list(rating=-1)).ratings} == {"m3", "m4"}
    assert len((await database.feedback.list(model="m2")).ratings) == 1
    with pytest.raises(InvalidParams, match="before"):
        await database.feedback.list(before="nonsense")


async def test_ratings_are_counted_by_skill_and_model(database: Database) -> None:
    for skill, rating in (("a", 1), ("a", 1), ("a", -1), ("b", -1)):
        await database.feedback.add(rating, turn_id=await answered(database, skill=skill))  # type: ignore[arg-type]  # 1 or -1
    assert (await database.statistics()).feedback == (
        FeedbackCount(skill="a", model="echo", good=2, bad=1), FeedbackCount(skill="b", model="echo", good=0, bad=1),
    )  # fmt: skip


async def test_a_fork_has_no_ratings_and_deleting_takes_them_along(database: Database) -> None:
    turn = await database.turns.get(await answered(database))
    await database.feedback.add(1, turn_id=turn.turn_id)
    await database.sessions.fork(turn.session_id)
    assert len((await database.feedback.list()).ratings) == 1
    await database.sessions.delete(turn.session_id)
    assert (await database.feedback.list()).ratings == ()
    assert (await database.statistics()).feedback == ()


async def test_a_turn_shows_its_latest_rating(database: Database) -> None:
    turn_id = await answered(database)
    assert (await database.turns.detail(turn_id)).rating is None
    for rating in (1, -1):
        await database.feedback.add(rating, turn_id=turn_id)  # type: ignore[arg-type]  # 1 or -1
        assert (await database.turns.detail(turn_id)).rating == rating
