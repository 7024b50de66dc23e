"""Upkeep of the daemon: old logs go where it is asked for, nothing else does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from agentgw.protocol.errors import StorageUnavailable
from agentgw_daemon.config.settings import StorageSection
from agentgw_daemon.server.upkeep import EVERY_S, FIRST_S, Upkeep
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.sessions import retention
from agentgw_daemon.storage.sessions.log import pack
from agentgw_daemon.storage.sessions.turns import NewTurn, TurnEnd

pytestmark = pytest.mark.anyio
OLD = "2020-01-01T00:00:00.000Z"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.open(tmp_path / "data") as opened:
        yield opened


async def turn(database: Database, message: str, *, ended: bool = True) -> str:
    """A turn with a log of three notifications."""
    started = await database.turns.start(NewTurn(message=message, skill="general-assistant", model="echo"))
    turn_id = started.turn.turn_id
    rows = pack(
        [
            (1, "turn.started", {"skill": "x", "model": "echo"}),
            (2, "turn.delta", {"text": message, "channel": "answer"}),
            (3, "turn.completed", {"finish_reason": "stop"}),
        ]
    )
    await database.log.append(turn_id, rows if ended else rows[:2])
    if ended:
        await database.turns.finish(turn_id, TurnEnd(state="completed", finish_reason="stop", text=message))
    return turn_id


async def age(database: Database, *turn_ids: str) -> None:
    """These ended long ago."""

    def do(db: object) -> None:
        for turn_id in turn_ids:
            db.execute("UPDATE turns SET finished_at = ? WHERE id = ?", (OLD, turn_id))  # type: ignore[attr-defined]

    await database._thread.write(do)


async def methods(database: Database, turn_id: str) -> list[str]:
    return [row.method for row in await database.log.read(turn_id)]


ALL = ["turn.started", "turn.delta", "turn.completed"]


async def test_logs_older_than_asked_for_go_and_their_ends_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_BATCH_TURNS", 2)
    old = [await turn(database, f"old {number}") for number in range(5)]
    new, running = await turn(database, "new"), await turn(database, "running", ended=False)
    await age(database, *old)
    upkeep = Upkeep(database, lambda: StorageSection(keep_turn_logs_days=30), lambda: True)
    await upkeep.once()
    assert [await methods(database, one) for one in old] == [["turn.completed"]] * 5
    assert await methods(database, new) == ALL
    assert await methods(database, running) == ALL[:2]
    # What was said is kept.
    assert (await database.turns.detail(old[0])).turn.turn_id == old[0]
    assert len((await database.sessions.list(limit=50)).sessions) == 7
    await age(database, new)
    await upkeep.once()
    assert await methods(database, new) == ["turn.completed"]


async def test_without_the_setting_everything_is_kept(database: Database) -> None:
    old = await turn(database, "old")
    await age(database, old)
    await Upkeep(database, StorageSection, lambda: True).once()
    assert await methods(database, old) == ALL


async def test_a_busy_daemon_is_not_vacuumed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    async def vacuum(limit_s: float, is_idle: object) -> bool:
        asked.append(limit_s)
        return True

    monkeypatch.setattr(database, "vacuum", vacuum)
    await Upkeep(database, StorageSection, lambda: False).once()
    assert asked == []
    await Upkeep(database, StorageSection, lambda: True).once()
    assert asked == [60.0]


def test_a_disk_that_fails_costs_one_round() -> None:
    times: list[float] = []

    class Failing(Upkeep):
        async def once(self) -> None:
            times.append(trio.current_time() - begun)
            raise StorageUnavailable("the disk is full")

    async def main() -> None:
        nonlocal begun
        begun = trio.current_time()
        with trio.move_on_after(FIRST_S + 1.5 * EVERY_S):
            await Failing(None, StorageSection, lambda: True).run()

    begun = 0.0
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert times == [FIRST_S, FIRST_S + EVERY_S]
