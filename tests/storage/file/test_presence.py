"""The database's names removed, replaced or moved away under the open database."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw.protocol.errors import StorageUnavailable
from agentgw_daemon.storage import database as database_module
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.file import presence
from agentgw_daemon.storage.file.presence import WrittenBack
from agentgw_daemon.storage.file.store import DatabaseFiles, Recovery
from agentgw_daemon.storage.sqlite.connection import JournalMode
from tests.patience import PATIENCE_S
from tests.polling import until
from tests.storage.direct import Direct, run, talk


@pytest.fixture(params=["WAL", "DELETE"])
def store(data: Path, request: pytest.FixtureRequest) -> DatabaseFiles:
    mode: JournalMode = request.param
    made = DatabaseFiles(data, mode)
    made.open()
    talk(Direct(made), "first", "yes")
    return made


def messages(path: Path) -> list[str]:
    """The messages that a process finds which opens the file at this moment, as after a crash."""
    copy = path.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in ("agentgw.db", "agentgw.db-wal"):
        if (path / name).exists():
            shutil.copy(path / name, copy / name)
    with closing(sqlite3.connect(copy / "agentgw.db")) as found:
        assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [row[0] for row in found.execute("SELECT content FROM messages WHERE role = 'user' ORDER BY rowid")]


def names(data: Path) -> set[str]:
    return {path.name for path in data.iterdir()} - {"backups", "agentgw.db-clean"}


def test_what_is_written_after_a_removal_is_in_the_file_before_it_is_acknowledged(
    store: DatabaseFiles, data: Path
) -> None:
    (data / "agentgw.db").unlink()
    talk(Direct(store), "second", "yes")
    assert messages(data) == ["first", "second"]
    assert [one.what for one in store.written_back] == ["agentgw.db"]
    store.close()
    assert messages(data) == ["first", "second"]
    assert names(data) == {"agentgw.db"}


def test_a_file_that_is_removed_while_it_is_written_gets_what_was_committed(data: Path) -> None:
    store = DatabaseFiles(data, "WAL")
    store.open()
    talk(Direct(store), "first", "yes")

    def remove_in_between(db: Any) -> None:
        db.execute("UPDATE messages SET content = 'changed' WHERE role = 'user'")
        (data / "agentgw.db").unlink()

    store.write(remove_in_between)
    assert messages(data) == ["changed"]
    store.close()


def test_a_removed_log_costs_nothing(data: Path) -> None:
    store = DatabaseFiles(data, "WAL")
    store.open()
    talk(Direct(store), "first", "yes")
    for said in ("second", "third"):
        (data / "agentgw.db-wal").unlink()
        talk(Direct(store), said, "yes")
    assert messages(data) == ["first", "second", "third"]
    (data / "agentgw.db-wal").unlink()
    (data / "agentgw.db").unlink()
    store.look()
    assert messages(data) == ["first", "second", "third"]
    assert [one.what for one in store.written_back] == ["agentgw.db-wal", "agentgw.db-wal", "agentgw.db"]
    store.close()


def test_a_log_that_was_replaced_is_kept_and_not_taken_for_ours(data: Path) -> None:
    store = DatabaseFiles(data, "WAL")
    store.open()
    talk(Direct(store), "first", "yes")
    (data / "agentgw.db-wal").unlink()
    (data / "agentgw.db-wal").write_bytes(b"not ours")
    talk(Direct(store), "second", "yes")
    assert messages(data) == ["first", "second"]
    [kept] = data.glob("displaced-*")
    assert (kept / "agentgw.db-wal").read_bytes() == b"not ours"
    store.close()


def test_a_file_that_was_moved_away_is_written_back_and_the_moved_one_left_alone(
    store: DatabaseFiles, data: Path
) -> None:
    (data / "agentgw.db").rename(data / "mine.db")
    content = (data / "mine.db").read_bytes()
    store.look()
    assert messages(data) == ["first"]
    store.close()
    assert (data / "mine.db").read_bytes() == content


def test_closing_writes_back_what_was_removed(store: DatabaseFiles, data: Path) -> None:
    (data / "agentgw.db").unlink()
    store.close()
    assert messages(data) == ["first"]


def test_nothing_is_acknowledged_beside_another_file_which_is_left_alone(store: DatabaseFiles, data: Path) -> None:
    with closing(sqlite3.connect(data / "other")) as other:
        other.execute("CREATE TABLE mine (x)")
    content = (data / "other").read_bytes()
    (data / "other").replace(data / "agentgw.db")
    with pytest.raises(StorageUnavailable, match="another file was put in the place") as refused:
        talk(Direct(store), "second", "yes")
    assert "the next command starts it" in refused.value.hint
    for use in (lambda: talk(Direct(store), "third", "yes"), store.problems, store.backup):
        with pytest.raises(StorageUnavailable, match="another file"):
            use()
    store.close()
    assert (data / "agentgw.db").read_bytes() == content
    [kept] = data.glob("displaced-*")
    assert messages(kept) == ["first"]
    # Its log would spoil the other file.
    assert not (data / "agentgw.db-wal").exists()
    assert not (data / "agentgw.db-clean").exists()


def test_what_was_committed_beside_another_file_is_kept_but_not_acknowledged(data: Path) -> None:
    store = DatabaseFiles(data, "WAL")
    store.open()
    talk(Direct(store), "first", "yes")

    def replace_in_between(db: Any) -> None:
        db.execute("UPDATE messages SET content = 'changed' WHERE role = 'user'")
        (data / "other").write_bytes(b"mine")
        (data / "other").replace(data / "agentgw.db")

    with pytest.raises(StorageUnavailable, match="another file"):
        store.write(replace_in_between)
    [kept] = data.glob("displaced-*")
    assert messages(kept) == ["changed"]
    store.close()


def backup(db: sqlite3.Connection, path: Path) -> bytes:
    """A sound database of one page more, as somebody may put it over ours."""
    with closing(sqlite3.connect(path)) as made:
        db.backup(made)
        made.execute("PRAGMA journal_mode = DELETE")
        made.execute("CREATE TABLE mine (x)")
    return path.read_bytes()


@pytest.mark.parametrize("how", ["copied over", "emptied"])
@pytest.mark.parametrize("closing_only", [False, True], ids=["used", "closed"])
def test_what_another_program_writes_into_the_file_stays_as_it_is(
    store: DatabaseFiles, data: Path, tmp_path: Path, how: str, closing_only: bool
) -> None:
    content = backup(store._opened().db.conn, tmp_path / "backup.db") if how == "copied over" else b""
    talk(Direct(store), "second", "yes")
    (data / "agentgw.db").write_bytes(content)
    if not closing_only:
        for said in ("third", "fourth"):
            with pytest.raises(StorageUnavailable, match=r"another program wrote into agentgw\.db"):
                talk(Direct(store), said, "yes")
        with pytest.raises(StorageUnavailable, match="another program wrote"):
            run(Direct(store).sessions.list())
    store.close()
    assert (data / "agentgw.db").read_bytes() == content
    assert not (data / "agentgw.db-wal").exists()
    assert not (data / "agentgw.db-clean").exists()
    [kept] = data.glob("displaced-*")
    assert {path.name for path in kept.iterdir()} == ({"old-wal"} if store._journal_mode == "WAL" else set())


def test_a_file_that_was_only_touched_is_ours_as_before(store: DatabaseFiles, data: Path) -> None:
    os.utime(data / "agentgw.db")
    talk(Direct(store), "second", "yes")
    store.close()
    assert messages(data) == ["first", "second"]
    assert store.displaced is None


def test_what_we_write_ourselves_is_never_taken_for_somebody_elses(store: DatabaseFiles) -> None:
    for number in range(20):
        talk(Direct(store), f"{number} " + "padding " * 20_000, "yes")
        store.read(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
    store.backup()
    assert store.problems() == ()
    assert (store.displaced, store.written_back) == (None, ())
    store.close()


@pytest.mark.parametrize("anew", [False, True], ids=["gone", "made anew"])
def test_a_folder_that_is_gone_is_not_made_again(store: DatabaseFiles, data: Path, anew: bool) -> None:
    data.rename(data.with_name("away"))
    if anew:
        data.mkdir()
    with pytest.raises(StorageUnavailable, match="was removed or moved away"):
        talk(Direct(store), "second", "yes")
    store.close()
    assert not data.exists() or list(data.iterdir()) == []
    assert messages(data.with_name("away")) == ["first"]


def test_a_disk_too_full_to_write_it_back_is_no_success_and_tried_again(
    store: DatabaseFiles, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (data / "agentgw.db").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(presence, "copy_open", full)
        with pytest.raises(StorageUnavailable, match="No space left"):
            talk(Direct(store), "second", "yes")
    talk(Direct(store), "third", "yes")
    assert messages(data) == ["first", "third"]
    store.close()


def test_without_hard_links_it_is_written_back_as_well(
    store: DatabaseFiles, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    (data / "agentgw.db").unlink()
    store.look()
    assert messages(data) == ["first"]
    store.close()


def test_a_database_behind_a_link_is_in_place(data: Path) -> None:
    store = DatabaseFiles(data, "WAL")
    store.open()
    store.close()
    (data / "agentgw.db").rename(data.with_name("elsewhere.db"))
    (data / "agentgw.db").symlink_to(data.with_name("elsewhere.db"))
    store = DatabaseFiles(data, "WAL")
    store.open()
    talk(Direct(store), "first", "yes")
    assert store.written_back == ()
    store.close()


pytestmark = pytest.mark.anyio


async def test_a_removal_is_noticed_while_nobody_writes(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "LOOK_EVERY_S", 0.01)
    send, receive = trio.open_memory_channel[Recovery | WrittenBack](1)
    with trio.fail_after(PATIENCE_S):
        async with Database.open(data, on_recovered=send.send_nowait) as made, trio.open_nursery() as nursery:
            nursery.start_soon(made.stay_in_place, lambda reason: None)
            (data / "agentgw.db").unlink()
            told = await receive.receive()
            assert isinstance(told, WrittenBack)
            assert (data / "agentgw.db").exists()
            assert made.written_back == (told,)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("kind", "in_the_loop"), [("ext4", True), ("nfs4", False), ("fuse.some", False)])
async def test_a_look_takes_a_thread_only_where_a_filesystem_may_hang(
    kind: str, in_the_loop: bool, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounts").write_text(f"27 1 0:35 / / rw - {kind} device rw\n")
    monkeypatch.setattr(database_module, "LOOK_EVERY_S", 0.01)
    threads: list[int] = []
    async with Database.open(data, mountinfo=tmp_path / "mounts") as made, trio.open_nursery() as nursery:
        loop, looked, look = threading.get_ident(), trio.Event(), presence.Presence.look

        def note(self: presence.Presence) -> presence.State:
            threads.append(threading.get_ident())
            if threads[-1] == loop:
                looked.set()
            else:
                trio.from_thread.run_sync(looked.set)
            return look(self)

        monkeypatch.setattr(presence.Presence, "look", note)
        nursery.start_soon(made.stay_in_place, lambda reason: None)
        with trio.fail_after(30):
            await looked.wait()
        nursery.cancel_scope.cancel()
        monkeypatch.undo()
    assert (threads[0] == loop) is in_the_loop


async def test_a_look_beside_other_work_waits_for_that(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads in the files at once would each take the other's work for somebody else's."""
    (tmp_path / "mounts").write_text("27 1 0:35 / / rw - ext4 device rw\n")
    monkeypatch.setattr(database_module, "LOOK_EVERY_S", 0.01)

    async def wait_queued() -> None:
        await until(lambda: made._thread.has_waiting)

    with trio.fail_after(30):
        async with Database.open(data, mountinfo=tmp_path / "mounts") as made, trio.open_nursery() as nursery:
            nursery.start_soon(made.stay_in_place, lambda reason: None)
            await made._thread.read(lambda _: trio.from_thread.run(wait_queued))
            nursery.cancel_scope.cancel()


async def test_the_daemon_is_told_to_end_when_its_file_was_replaced(data: Path) -> None:
    reasons: list[str] = []
    with trio.fail_after(PATIENCE_S):
        async with Database.open(data) as made, trio.open_nursery() as nursery:
            nursery.start_soon(made.stay_in_place, reasons.append)
            (data / "other").write_bytes(b"mine")
            (data / "other").replace(data / "agentgw.db")
            with pytest.raises(StorageUnavailable):
                await made.check()
    assert len(reasons) == 1
    assert "another file" in reasons[0]
