from __future__ import annotations

from pathlib import Path

import pytest

from agentgw.protocol.errors import InvalidParams, NotFound
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.sessions.turns import NewTurn

pytestmark = pytest.mark.anyio


@pytest.mark.usefixtures("ticking")
async def test_a_session_is_found_by_its_beginning_and_by_its_end(tmp_path: Path) -> None:
    async with Database.open(tmp_path) as database:
        new = NewTurn(message="m", skill="s", model="echo")
        for turn in [(await database.turns.start(new)).turn for _ in range(3)]:
            name = turn.session_id
            for given in (name, name[:-1], f"s-{name[-6:]}", name[-5:]):
                assert (await database.sessions.get(given)).session_id == name, given
            assert (await database.turns.get(f"t-{turn.turn_id[-6:]}")).turn_id == turn.turn_id


@pytest.mark.parametrize("given", ["", "s-", "x", "zzzzzz", "%%%%%%", "______", "s-%", "nosuch"])
async def test_what_no_id_begins_or_ends_with_is_none(tmp_path: Path, given: str) -> None:
    async with Database.open(tmp_path) as database:
        await database.turns.start(NewTurn(message="m", skill="s", model="echo"))
        if given == "s-":
            await database.turns.start(NewTurn(message="m", skill="s", model="echo"))
        with pytest.raises(InvalidParams if given == "s-" else NotFound):
            await database.sessions.get(given)


async def test_an_end_of_four_is_too_little_to_be_meant(tmp_path: Path) -> None:
    async with Database.open(tmp_path) as database:
        turn = (await database.turns.start(NewTurn(message="m", skill="s", model="echo"))).turn
        with pytest.raises(NotFound):
            await database.sessions.get(turn.session_id[-4:])
