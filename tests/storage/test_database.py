from __future__ import annotations

import logging
import os
import sqlite3
import sys
import threading
from pathlib import Path

import pytest
import trio

from agentgw.protocol.errors import StorageUnavailable
from agentgw.protocol.types import Usage
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.file.migrations import MIGRATIONS
from agentgw_daemon.storage.file.presence import WrittenBack
from agentgw_daemon.storage.file.store import Recovery
from agentgw_daemon.storage.sessions.turns import NewTurn, TurnEnd
from agentgw_daemon.storage.sqlite.connection import has_wal_reset_bug
from agentgw_daemon.storage.sqlite.library import sqlite_utils

pytestmark = pytest.mark.anyio


async def test_opening_reports_what_it_found(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with Database.open(data) as database:
            opened = database.opened
    assert opened.sqlite_version == sqlite3.sqlite_version
    assert opened.wal_reset_bug is has_wal_reset_bug(sqlite3.sqlite_version_info)
    assert opened.migrated == tuple(step.name for step in MIGRATIONS.pending(sqlite_utils.Database(memory=True)))
    assert (opened.interrupted, opened.recovery, opened.warnings, opened.journal_mode) == ((), None, (), "WAL")
    assert caplog.text.count("WAL-reset bug") == int(opened.wal_reset_bug)


async def test_a_network_filesystem_gets_no_wal_and_a_warning(data: Path, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("27 1 0:35 / / rw - nfs4 server:/ rw\n")
    async with Database.open(data, mountinfo=mounts) as database:
        await database.turns.start(NewTurn(message="m", skill="s", model="echo"))
        assert database.opened.journal_mode == "DELETE"
        assert "network filesystem (nfs4)" in database.opened.warnings[0]
        assert not (data / "agentgw.db-wal").exists()


async def test_a_database_moved_to_a_network_filesystem_leaves_wal_behind(data: Path, tmp_path: Path) -> None:
    async with Database.open(data) as database:
        await database.turns.start(NewTurn(message="m", skill="s", model="echo"))
    mounts = tmp_path / "mountinfo"
    mounts.write_text("27 1 0:35 / / rw - nfs server:/ rw\n")
    async with Database.open(data, mountinfo=mounts) as database:
        assert (await database.statistics()).turns == 1
        mode = await database._thread.read(lambda db: db.execute("PRAGMA journal_mode").fetchone()[0])
        assert mode == "delete"


async def test_figures_count_what_is_stored(database: Database) -> None:
    for state, model in (("completed", "echo"), ("failed", "echo"), ("completed", "other")):
        turn = (await database.turns.start(NewTurn(message="m", skill="s", model=model))).turn
        end = TurnEnd(state=state, text="x" if state == "completed" else "", usage=Usage(completion_tokens=5))  # type: ignore[arg-type]  # one of its states
        await database.turns.finish(turn.turn_id, end)
    await database.turns.start(NewTurn(message="m", skill="s", model="echo"))
    figures = await database.statistics()
    assert (figures.sessions, figures.turns, figures.messages, figures.completion_tokens) == (4, 4, 6, 15)
    assert figures.turns_by_state == {"completed": 2, "failed": 1, "queued": 1}
    assert figures.turns_by_model == {"echo": 3, "other": 1}
    assert figures.db_bytes == database.size_bytes() > 0


async def test_a_sound_database_has_no_problems_and_can_be_backed_up(database: Database, data: Path) -> None:
    assert await database.check() == ()
    assert (await database.backup()).parent == data / "backups"


async def test_operations_use_the_connection_one_at_a_time(database: Database) -> None:
    inside, most = 0, 0
    lock = threading.Lock()

    def do(db: object) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        database.size_bytes()
        with lock:
            inside -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(database._thread.read, do)
    assert most == 1


async def test_a_write_that_has_started_is_committed_though_its_caller_is_cancelled(database: Database) -> None:
    scope = trio.CancelScope()

    def do(db: object) -> None:
        trio.from_thread.run_sync(scope.cancel)
        database._store._connection.db.execute(  # type: ignore[union-attr]  # open
            "INSERT INTO sessions (id, title, skill, created_at, updated_at) VALUES ('s-x', 't', 's', 'a', 'b')"
        )

    with scope:
        await database._thread.write(do)
    assert (await database.sessions.get("s-x")).title == "t"


async def test_a_write_that_waits_for_the_thread_is_not_started_when_cancelled(database: Database) -> None:
    with trio.move_on_after(0):
        await database.turns.start(NewTurn(message="m", skill="s", model="echo"))
    assert (await database.statistics()).turns == 0


async def test_closing_completes_though_the_daemon_is_cancelled(data: Path) -> None:
    with trio.CancelScope() as scope:
        async with Database.open(data):
            scope.cancel()
    assert (data / "agentgw.db-clean").exists()
    assert not (data / "agentgw.db-wal").exists()


async def test_a_replacement_while_running_is_told(data: Path) -> None:
    told: list[Recovery | WrittenBack] = []
    async with Database.open(data, on_recovered=told.append) as database:
        await database.turns.start(NewTurn(message="x" * 100_000, skill="s", model="echo"))
        await database._thread.read(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
        await database._thread.read(lambda db: db.execute("PRAGMA cache_size = 1"))
        with (data / "agentgw.db").open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(100_000))
        with pytest.raises(StorageUnavailable):
            await database.sessions.list()
        (recovery,) = told
        assert isinstance(recovery, Recovery)
        assert Path(recovery.moved_to).is_dir()
        assert (await database.sessions.list()).sessions == ()
    async with Database.open(data) as database:
        assert database.opened.recovery is None


async def test_a_replacement_at_opening_is_in_the_report(data: Path) -> None:
    async with Database.open(data):
        pass
    (data / "agentgw.db").write_bytes(os.urandom(10_000))
    async with Database.open(data) as database:
        assert database.opened.recovery is not None


async def test_a_directory_that_cannot_be_made_is_storage_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable):
        async with Database.open(tmp_path / "file" / "data"):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_the_process_has_one_descriptor_of_the_database(database: Database, data: Path) -> None:
    await database.turns.start(NewTurn(message="m", skill="s", model="echo"))
    await database.backup()
    links = [os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    assert links.count(str(data / "agentgw.db")) == 1


async def test_storage_leaves_numpy_out() -> None:
    program = "import sys, agentgw_daemon.storage.database; print({'numpy', 'pandas'} & set(sys.modules))"
    done = await trio.run_process([sys.executable, "-c", program], capture_stdout=True)
    assert done.stdout.decode().strip() == "set()"
