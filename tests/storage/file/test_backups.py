from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from agentgw.protocol.errors import StorageUnavailable
from agentgw_daemon.storage.file import backups
from agentgw_daemon.storage.file.backups import KEEP, MAX_AGE_S, is_sound
from agentgw_daemon.storage.file.store import DatabaseFiles
from tests.storage.direct import Direct, talk


@pytest.fixture
def store(tmp_path: Path) -> DatabaseFiles:
    made = DatabaseFiles(tmp_path / "data", "WAL")
    made.open()
    talk(Direct(made), "hello", "there")
    return made


def test_a_backup_is_one_sound_private_file(store: DatabaseFiles) -> None:
    path = store.backup()
    assert is_sound(path)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o600
    store.close()


def test_the_three_newest_are_kept(store: DatabaseFiles) -> None:
    made = [store.backup() for _ in range(KEEP + 2)]
    assert store.backups.newest_first() == tuple(made[: -KEEP - 1 : -1])
    store.close()


def test_a_clean_close_makes_a_backup_once_a_day(store: DatabaseFiles, tmp_path: Path) -> None:
    def close_and_count() -> int:
        again = DatabaseFiles(tmp_path / "data", "WAL")
        again.open()
        again.close()
        return len(again.backups.newest_first())

    store.close()
    assert close_and_count() == 1
    (only,) = store.backups.newest_first()
    old = time.time() - MAX_AGE_S - 60
    os.utime(only, (old, old))
    assert close_and_count() == 2


@pytest.mark.parametrize("content", [b"", b"text", b"SQLite format 3\0" + b"\0" * 4080])
def test_a_file_that_is_no_database_of_ours_is_not_sound(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "agentgw-x.db"
    path.write_bytes(content)
    assert not is_sound(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_backup_that_fails_leaves_no_file(store: DatabaseFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(backups, "sync_path", full)
        with pytest.raises(StorageUnavailable, match="No space"):
            store.backup()
    assert list(store.files.backups.iterdir()) == []
    assert is_sound(store.backup())
    store.close()
