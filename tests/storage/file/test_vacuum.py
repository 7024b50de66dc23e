"""Space given back: only where it is worth it, and never in anybody's way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.file import store as store_module
from agentgw_daemon.storage.file import vacuum as vacuum_module
from agentgw_daemon.storage.file.store import DatabaseFiles
from tests.patience import PATIENCE_S
from tests.storage.direct import Direct, run, talk


@pytest.fixture
def emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseFiles]:
    """A database of which most was deleted."""
    monkeypatch.setattr(vacuum_module, "_LEAST_BYTES", 100_000)
    store = DatabaseFiles(tmp_path / "data", "WAL")
    store.open()
    direct = Direct(store)
    kept = talk(direct, "kept", "kept")
    gone = [talk(direct, f"{number}" + " word" * 4000, "x") for number in range(30)]
    for one in gone:
        run(direct.sessions.delete(one.turn.session_id))
    assert kept.turn.session_id
    yield store
    store.close()


def test_empty_pages_go_and_the_rest_stays(emptied: DatabaseFiles) -> None:
    before = emptied.files.size_bytes()
    assert emptied.vacuum(lambda: True)
    assert emptied.files.size_bytes() < before / 2
    assert emptied.problems() == ()
    assert [session.title for session in run(Direct(emptied).sessions.list()).sessions] == ["kept"]
    # The second time there is nothing to be had.
    assert not emptied.vacuum(lambda: True)
    # The file is still the one that was looked after, and writing goes on.
    talk(Direct(emptied), "after", "after")
    assert emptied.written_back == ()
    assert emptied.displaced is None


def test_whoever_comes_ends_it_and_the_file_is_as_it_was(
    emptied: DatabaseFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vacuum_module, "_LOOK_EVERY", 10)
    assert not emptied.vacuum(lambda: False)
    assert emptied.problems() == ()
    assert len(run(Direct(emptied).sessions.list()).sessions) == 1
    talk(Direct(emptied), "after", "after")
    assert emptied.vacuum(lambda: True)


def test_without_room_on_the_disk_it_is_left_alone(emptied: DatabaseFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "has_room", lambda db, directory: False)
    assert not emptied.vacuum(lambda: True)


def test_a_database_without_much_waste_is_left_alone(tmp_path: Path) -> None:
    store = DatabaseFiles(tmp_path / "data", "WAL")
    store.open()
    talk(Direct(store), "hello", "there")
    assert not store.vacuum(lambda: True)
    store.close()


@pytest.mark.anyio
async def test_nobody_waits_for_it(emptied: DatabaseFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn that comes while it works is what ends it."""
    emptied.close()
    monkeypatch.setattr(vacuum_module, "_LOOK_EVERY", 10)
    async with Database.open(emptied.files.directory) as database:
        done: list[bool] = []
        working = trio.Event()
        token = trio.lowlevel.current_trio_token()

        def is_idle() -> bool:
            token.run_sync_soon(working.set)
            return True

        async def vacuum() -> None:
            done.append(await database.vacuum(3600, is_idle))

        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(vacuum)
                await working.wait()
                await database.statistics()
        # It was ended, or it was done before it could be.
        assert len(done) == 1
        assert await database.check() == ()
    emptied.open()
