from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.sessions.log import pack, unpack
from agentgw_daemon.storage.sessions.turns import NewTurn, TurnEnd
from tests.storage.direct import Direct, run

pytestmark = pytest.mark.anyio


def _new(message: str, **fields: object) -> NewTurn:
    return NewTurn(message=message, skill="s", model="echo", **fields)  # type: ignore[arg-type]  # fields are those of NewTurn


def _crashed(data: Path, tmp_path: Path) -> Path:
    """The files as a kill leaves them: copied while the database is open."""
    target = tmp_path / "crashed"
    shutil.copytree(data, target)
    return target


async def test_a_turn_cut_off_by_a_crash_is_kept_as_far_as_it_came(
    database: Database, data: Path, tmp_path: Path
) -> None:
    turn = (await database.turns.start(_new("tell me", idempotency_key="k"))).turn
    await database.turns.set_state(turn.turn_id, "running")
    events = [
        (1, "turn.started", {"skill": "s", "model": "echo"}),
        (2, "turn.delta", {"text": "thinking", "channel": "reasoning"}),
        (3, "turn.delta", {"text": "Once ", "channel": "answer"}),
        (4, "turn.delta", {"text": "upon", "channel": "answer"}),
    ]
    await database.log.append(turn.turn_id, pack(events))
    queued = (await database.turns.start(_new("never began"))).turn
    done = (await database.turns.start(_new("done"))).turn
    await database.turns.finish(done.turn_id, TurnEnd(state="completed", finish_reason="stop", text="yes"))
    async with Database.open(_crashed(data, tmp_path)) as again:
        assert again.opened.interrupted == (turn.turn_id, queued.turn_id)
        assert again.opened.recovery is None
        found = await again.turns.get(turn.turn_id)
        assert (found.state, found.finish_reason, found.last_seq) == ("interrupted", None, 4)
        assert found.finished_at is not None
        user, assistant = (await again.sessions.messages(turn.session_id)).messages
        assert (assistant.content, assistant.interrupted) == ("Once upon", True)
        assert user.interrupted is None
        assert [e for row in await again.log.read(turn.turn_id) for e in unpack(row)] == events
        assert (await again.turns.get(queued.turn_id)).state == "interrupted"
        assert len((await again.sessions.messages(queued.session_id)).messages) == 1
        assert (await again.turns.get(done.turn_id)).state == "completed"
        # The key still names that turn, and the session takes the next one.
        assert not (await again.turns.start(_new("tell me", idempotency_key="k"))).created
        assert (await again.turns.start(_new("go on", session_id=turn.session_id))).created
        assert len(await again.sessions.whole_history(turn.session_id)) == 2


async def test_after_a_clean_close_nothing_is_interrupted_twice(data: Path) -> None:
    async with Database.open(data) as database:
        turn = (await database.turns.start(_new("m"))).turn
    async with Database.open(data) as database:
        assert database.opened.interrupted == (turn.turn_id,)
    async with Database.open(data) as database:
        assert database.opened.interrupted == ()


async def test_a_log_that_rotted_does_not_keep_the_database_from_opening(data: Path) -> None:
    async with Database.open(data) as database:
        turn = (await database.turns.start(_new("m"))).turn
        delta = {"text": "kept", "channel": "answer"}
        await database.log.append(turn.turn_id, pack([(1, "turn.delta", delta)]))
        await database.log.append(turn.turn_id, pack([(2, "turn.delta", delta)]))
        spoil = "UPDATE turn_log SET payload = CAST(x'ff00' AS TEXT) WHERE seq = 2"
        await database._thread.write(lambda db: db.execute(spoil))
    async with Database.open(data) as database:
        assert (await database.turns.detail(turn.turn_id)).text == "kept"


def test_turns_are_marked_later_when_the_disk_is_full_at_opening(tmp_path: Path) -> None:
    store = DatabaseFiles(tmp_path, "WAL")
    store.open()
    turn = run(Direct(store).turns.start(_new("m"))).turn
    store.close()

    class _Full(DatabaseFiles):
        def _prepare(self, connection, *, check):  # type: ignore[no-untyped-def]  # as in DatabaseFiles
            super()._prepare(connection, check=check)
            connection.db.execute("PRAGMA query_only = ON")  # every write fails as on a read-only disk

    store = _Full(tmp_path, "WAL")
    store.open()
    direct = Direct(store)
    assert run(direct.turns.get(turn.turn_id)).state == "queued"
    store.read(lambda db: db.execute("PRAGMA query_only = OFF"))
    run(direct.turns.start(_new("next")))
    assert run(direct.turns.get(turn.turn_id)).state == "interrupted"
    assert len(run(direct.turns.list(running=True)).turns) == 1
    store.close()
