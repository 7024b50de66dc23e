from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from agentgw.protocol.errors import StorageUnavailable
from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.sessions.turns import NewTurn
from tests.storage.direct import Direct, run, talk


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cleanly closed database of some size with one backup, made when it had half of its turns."""
    directory = tmp_path_factory.mktemp("grown") / "data"
    store = DatabaseFiles(directory, "WAL")
    store.open()
    for n in range(60):
        talk(Direct(store), f"question {n} " + "padding " * 20, f"answer {n} " + "stuffing " * 20)
        if n == 29:
            store.backup()
    store.close()
    return directory


@pytest.fixture
def data(grown: Path, tmp_path: Path) -> Path:
    return shutil.copytree(grown, tmp_path / "data")


def _open(data: Path) -> DatabaseFiles:
    store = DatabaseFiles(data, "WAL")
    store.open()
    return store


def _turns(store: DatabaseFiles) -> int:
    return store.read(lambda db: int(db.execute("SELECT count(*) FROM turns").fetchone()[0]))


def _use(store: DatabaseFiles) -> None:
    """Read and write everything; a damaged file may cost an operation each time it is met, but not for ever."""
    direct = Direct(store)

    def everything() -> None:
        for session in run(direct.sessions.list(limit=1000)).sessions:
            run(direct.sessions.messages(session.session_id))
        for turn in run(direct.turns.list(limit=1000)).turns:
            run(direct.log.read(turn.turn_id))
        run(direct.sessions.search("question"))
        talk(direct, "still there", "yes")

    for _ in range(4):
        try:
            return everything()
        except StorageUnavailable:
            continue
    raise AssertionError("the database does not recover")


def test_an_undamaged_database_opens_as_it_was(data: Path) -> None:
    store = _open(data)
    assert store.take_recovery() is None
    assert _turns(store) == 60
    store.close()


def _overwrite_page_2(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xaa" * 4096)


def _truncate(size: int) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, size)


@pytest.mark.parametrize(
    "damage",
    [_overwrite_page_2, _truncate(0), _truncate(100), _truncate(4096), lambda path: path.write_bytes(b"no database")],
    ids=["page 2", "0 bytes", "100 bytes", "4096 bytes", "text"],
)
@pytest.mark.parametrize("clean", [True, False], ids=["closed cleanly", "killed"])
def test_a_damaged_file_is_kept_and_the_backup_takes_its_place(
    data: Path, damage: Callable[[Path], None], clean: bool
) -> None:
    (backup,) = (data / "backups").iterdir()
    damage(data / "agentgw.db")
    damaged = (data / "agentgw.db").read_bytes()
    if not clean:
        (data / "agentgw.db-clean").unlink()
    store = _open(data)
    recovery = store.take_recovery()
    assert recovery is not None
    assert recovery.restored_from == str(backup)
    kept = Path(recovery.moved_to)
    assert kept.parent == data
    assert kept.name.startswith("corrupt-")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert (kept / "agentgw.db").read_bytes() == damaged
    assert _turns(store) == 30
    assert store.problems() == ()
    _use(store)
    store.close()
    again = _open(data)
    assert again.take_recovery() is None
    assert _turns(again) == 31
    again.close()


def test_log_and_database_are_moved_aside_together(data: Path, tmp_path: Path) -> None:
    store = _open(data)
    talk(Direct(store), "in the log only", "yes")
    crashed = shutil.copytree(data, tmp_path / "crashed")
    store.close()
    log = (crashed / "agentgw.db-wal").read_bytes()
    os.truncate(crashed / "agentgw.db", 0)
    store = _open(crashed)
    recovery = store.take_recovery()
    assert recovery is not None
    assert (Path(recovery.moved_to) / "agentgw.db-wal").read_bytes() == log
    assert _turns(store) == 30
    store.close()


def test_without_a_backup_a_damaged_file_is_followed_by_an_empty_database(data: Path) -> None:
    shutil.rmtree(data / "backups")
    _overwrite_page_2(data / "agentgw.db")
    store = _open(data)
    recovery = store.take_recovery()
    assert recovery is not None
    assert recovery.restored_from is None
    _use(store)
    assert _turns(store) == 1
    store.close()


def test_a_damaged_backup_is_passed_over_for_an_older_one(data: Path) -> None:
    (good,) = (data / "backups").iterdir()
    bad = data / "backups" / "agentgw-29990101T000000000000Z.db"
    bad.write_bytes(good.read_bytes()[:5000])
    (data / "backups" / "agentgw-29990102T000000000000Z.db").write_bytes(b"")
    _overwrite_page_2(data / "agentgw.db")
    store = _open(data)
    recovery = store.take_recovery()
    assert recovery is not None
    assert recovery.restored_from == str(good)
    store.close()


def test_damage_met_while_running_is_replaced_and_the_next_call_works(data: Path) -> None:
    store = _open(data)
    # The file changes behind the open connection, as on a failing disk; a small cache makes SQLite read it again.
    store.read(lambda db: db.execute("PRAGMA cache_size = 1"))
    with (data / "agentgw.db").open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(200_000))

    def read_everything() -> None:
        for session in run(Direct(store).sessions.list(limit=1000)).sessions:
            run(Direct(store).sessions.messages(session.session_id))

    with pytest.raises(StorageUnavailable, match="replaced"):
        read_everything()
    recovery = store.take_recovery()
    assert recovery is not None
    assert recovery.restored_from is not None
    assert (Path(recovery.moved_to) / "agentgw.db").stat().st_size > 200_000
    assert _turns(store) == 30
    _use(store)
    store.close()


def test_a_damaged_search_index_is_rebuilt_and_nothing_is_moved(data: Path) -> None:
    store = _open(data)
    store.write(lambda db: db.execute("DELETE FROM messages_fts_docsize"))
    store.write(lambda db: db.execute("UPDATE messages_fts_data SET block = x'00ff00ff' WHERE id > 10"))
    with pytest.raises(StorageUnavailable, match="search index"):
        run(Direct(store).sessions.search("question"))
    assert len(run(Direct(store).sessions.search("question", limit=100))) == 60
    assert store.take_recovery() is None
    assert _turns(store) == 60
    store.close()


def test_a_schema_full_of_noise_is_damage(data: Path) -> None:
    path = data / "agentgw.db"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"CREATE TABLE messages", b"CREATE \xff\xfe\x80LE messages"))
    store = _open(data)
    recovery = store.take_recovery()
    assert recovery is not None
    assert _turns(store) == 30
    store.close()


@pytest.mark.parametrize("seed", range(50))
def test_noise_anywhere_in_the_file_never_stops_the_database(data: Path, seed: int) -> None:
    chance = random.Random(seed)
    path = data / "agentgw.db"
    with path.open("r+b") as file:
        file.seek(chance.randrange(path.stat().st_size - 512))
        file.write(chance.randbytes(512))
    noisy = path.read_bytes()
    store = _open(data)
    _use(store)
    replaced = sorted(data.glob("corrupt-*"))
    if replaced:
        assert (replaced[0] / "agentgw.db").stat().st_size == len(noisy)
    else:
        assert _turns(store) == 61
    store.close()
    again = _open(data)
    _use(again)
    again.close()


def test_a_replacement_cut_short_by_a_full_disk_is_tried_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _overwrite_page_2(data / "agentgw.db")
    damaged = (data / "agentgw.db").read_bytes()

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("agentgw_daemon.storage.file.store.copy_private", full)
        store = DatabaseFiles(data, "WAL")
        with pytest.raises(StorageUnavailable, match="No space"):
            store.open()
    assert (data / "agentgw.db").read_bytes() == damaged
    assert _turns(store) == 30
    store.close()


def test_a_database_removed_by_hand_after_a_clean_close_starts_empty(data: Path) -> None:
    (data / "agentgw.db").unlink()
    store = _open(data)
    assert store.take_recovery() is None
    assert _turns(store) == 0
    store.close()


def test_the_quick_check_is_spared_after_a_clean_close_only(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    original = DatabaseFiles._prepare

    def prepare(self: DatabaseFiles, connection: object, *, check: bool) -> None:
        checked.append(check)
        original(self, connection, check=check)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(DatabaseFiles, "_prepare", prepare)
    store = _open(data)
    store.close()
    store = _open(data)
    store._connection.close()  # type: ignore[union-attr]  # a process that ends without DatabaseFiles.close
    _open(data).close()
    os.utime(data / "agentgw.db")
    _open(data).close()
    # Twice closed cleanly, once ended without a close, once touched by somebody else.
    assert checked == [False, False, True, True]


def test_all_files_are_private_under_umask_0(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = _open(tmp_path / "data")
        talk(Direct(store), "hello", "there")
        store.backup()
        found = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").rglob("*")}
        store.close()
        _overwrite_page_2(tmp_path / "data" / "agentgw.db")
        _open(tmp_path / "data").close()
    finally:
        os.umask(before)
    found |= {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").rglob("*")}
    assert {path.name for path in found} >= {"agentgw.db", "agentgw.db-wal", "agentgw.db-clean", "backups"}
    assert all(mode == (0o700 if path.is_dir() else 0o600) for path, mode in found.items() if path.exists())
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_closed_store_can_be_closed_again(data: Path) -> None:
    store = _open(data)
    store.close()
    store.close()
    assert run(Direct(_open(data)).turns.start(NewTurn(message="m", skill="s", model="echo"))).created
