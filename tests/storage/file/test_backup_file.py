"""Backups where the user wants them: made beside work, looked at, and never in the place of something else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from agentgw.protocol.errors import AlreadyExists, InvalidParams, StorageUnavailable
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.file import store as store_module
from agentgw_daemon.storage.file.backup_file import BackupFile
from agentgw_daemon.storage.file.backups import is_sound
from agentgw_daemon.storage.sessions.turns import NewTurn
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.anyio


def new(message: str) -> NewTurn:
    return NewTurn(message=message, skill="general-assistant", model="echo")


async def backup(database: Database, target: BackupFile) -> int:
    try:
        with target.filling() as partial:
            await database.copy_to(partial)
        return target.publish()
    finally:
        target.discard()


def messages(path: Path) -> list[str]:
    """The messages of a database, read by nobody of ours."""
    with sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True) as plain:
        return [row[0] for row in plain.execute("SELECT content FROM messages ORDER BY n")]


async def test_a_backup_is_sound_private_and_alone(database: Database, tmp_path: Path) -> None:
    await database.turns.start(new("hello"))
    path = tmp_path / "b" / "x.db"
    path.parent.mkdir()
    size = await backup(database, BackupFile(str(path), force=False, own=()))
    assert size == path.stat().st_size
    assert path.stat().st_mode & 0o777 == 0o600
    assert is_sound(path)
    assert messages(path) == ["hello"]
    assert [entry.name for entry in path.parent.iterdir()] == ["x.db"]


async def test_turns_go_on_while_it_is_made_and_are_in_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_STEP_PAGES", 1)
    for number in range(20):
        await database.turns.start(new(f"before {number}" + " word" * 500))
    path = tmp_path / "x.db"
    waited: list[bool] = []

    async with trio.open_nursery() as nursery:
        done = trio.Event()

        async def copy() -> None:
            await backup(database, BackupFile(str(path), force=False, own=()))
            done.set()

        nursery.start_soon(copy)
        for number in range(10):
            await database.turns.start(new(f"during {number}"))
            waited.append(done.is_set())
    # They were committed before the copy was done, so they did not wait for it.
    assert waited == [False] * 10
    assert is_sound(path)
    assert [text for text in messages(path) if text.startswith("during")] == [f"during {n}" for n in range(10)]


async def test_a_copy_that_is_cancelled_leaves_nothing_and_harms_nobody(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_STEP_PAGES", 1)
    for number in range(20):
        await database.turns.start(new(f"{number}" + " word" * 500))
    target = BackupFile(str(tmp_path / "x.db"), force=False, own=())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(backup, database, target)
        await database.turns.start(new("in between"))
        nursery.cancel_scope.cancel()
    assert not [entry for entry in tmp_path.iterdir() if entry.name != "data"]
    await database.turns.start(new("after"))
    assert await database.check() == ()


@pytest.mark.parametrize("page", [1, 2])
async def test_a_copy_that_is_spoilt_meanwhile_is_no_damage_of_the_database(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(store_module, "_STEP_PAGES", 1)
    for number in range(20):
        await database.turns.start(new(f"{number}" + " word" * 500))
    target = BackupFile(str(tmp_path / "x.db"), force=False, own=())
    steps = 0

    async def spoil() -> None:
        nonlocal steps
        with trio.fail_after(PATIENCE_S):
            while target.partial.exists():
                with target.partial.open("r+b") as file:
                    file.write(b"x" * 4096 * page)
                steps += 1
                await database.turns.start(new("in between"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(spoil)
        with pytest.raises(StorageUnavailable, match=r"/x\.db cannot be written: "):
            await backup(database, target)
    assert steps
    assert (await database.extent())[0] == 20 + steps


async def test_a_copy_that_is_not_sound_gets_no_name(tmp_path: Path) -> None:
    target = BackupFile(str(tmp_path / "x.db"), force=True, own=())
    target.partial.write_bytes(b"SQLite format 3\0" + b"\0" * 4080)
    with pytest.raises(StorageUnavailable, match="not sound"):
        target.publish()
    target.discard()
    assert list(tmp_path.iterdir()) == []


async def test_a_file_that_came_meanwhile_is_not_replaced(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    target = BackupFile(str(path), force=False, own=())
    path.write_text("somebody's")
    with pytest.raises(AlreadyExists):
        await backup(database, target)
    assert path.read_text() == "somebody's"
    await backup(database, BackupFile(str(path), force=True, own=()))
    assert is_sound(path)
    assert {entry.name for entry in tmp_path.iterdir()} == {"x.db", "data"}


def _link(path: Path) -> None:
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(
    ("make", "force", "error"),
    [
        (lambda path: path.write_text("x"), False, AlreadyExists),
        (lambda path: path.mkdir(), True, InvalidParams),
        (_link, True, InvalidParams),
    ],
)
def test_names_that_are_taken(
    tmp_path: Path, make: Callable[[Path], None], force: bool, error: type[Exception]
) -> None:
    path = tmp_path / "x.db"
    make(path)
    with pytest.raises(error):
        BackupFile(str(path), force=force, own=())
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.db"]


@pytest.mark.parametrize("path", ["relative.db", "", "/a\0b", "/nowhere/x.db", "/dev/null/x.db"])
def test_names_that_are_none(path: str) -> None:
    with pytest.raises(InvalidParams):
        BackupFile(path, force=True, own=())


def test_the_daemons_own_files_are_not_written_over(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "backups").mkdir(parents=True)
    (tmp_path / "link").symlink_to(data)
    for path in (
        data / "agentgw.db",
        data / "backups" / "x.db",
        tmp_path / "link" / "x.db",
        data / ".." / "data" / "x",
    ):
        with pytest.raises(InvalidParams, match="own files"):
            BackupFile(str(path), force=True, own=[str(data)])
    BackupFile(str(tmp_path / "data2"), force=True, own=[str(data)]).discard()


def test_a_directory_that_cannot_be_written_says_so() -> None:
    with pytest.raises(StorageUnavailable, match=r"/proc/x\.db cannot be written"):
        BackupFile("/proc/x.db", force=False, own=())
