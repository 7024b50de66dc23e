"""A backup in the place of the database: examined first, and nothing is lost on the way."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from agentgw.protocol.errors import BackupRefused, ConfigRefused
from agentgw_daemon.storage.file import restoring
from agentgw_daemon.storage.file.condition import Files
from agentgw_daemon.storage.file.restoring import examine, main, restore
from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.sessions.turns import NewTurn
from tests.storage.direct import Direct, run, talk


def filled(directory: Path, *words: str) -> DatabaseFiles:
    """An open database with a turn for each word."""
    made = DatabaseFiles(directory, "WAL")
    made.open()
    for word in words:
        talk(Direct(made), word, word)
    return made


def titles(directory: Path) -> set[str | None]:
    """The sessions of a database, as a daemon would open it."""
    store = DatabaseFiles(directory, "WAL")
    store.open()
    assert store.take_recovery() is None
    found = {session.title for session in run(Direct(store).sessions.list()).sessions}
    store.close()
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A closed database with one session, and the backup of another beside it."""
    store = filled(tmp_path / "other", "one", "two")
    store.copy(tmp_path / "backup.db", lambda: None)
    store.close()
    filled(tmp_path / "data", "old").close()
    return tmp_path / "data"


@pytest.fixture
def backup(data: Path, tmp_path: Path) -> Path:
    """The backup."""
    return tmp_path / "backup.db"


def test_the_backup_takes_the_place_and_the_old_one_is_kept(data: Path, backup: Path) -> None:
    before = backup.read_bytes()
    done = restore(data, backup)
    assert done.sessions == 2
    assert titles(data) == {"one", "two"}
    assert done.kept is not None
    assert titles(Path(done.kept)) == {"old"}
    assert backup.read_bytes() == before
    assert Files(data).database.stat().st_mode & 0o777 == 0o600


def test_into_an_empty_home(data: Path, backup: Path, tmp_path: Path) -> None:
    done = restore(tmp_path / "new", backup)
    assert done.kept is None
    assert titles(tmp_path / "new") == {"one", "two"}


def test_what_a_killed_daemon_left_in_its_log_is_kept_with_its_database(
    data: Path, backup: Path, tmp_path: Path
) -> None:
    store = filled(data, "in the log")
    # What a kill leaves is what lies there while it is open.
    killed = Path(shutil.copytree(data, tmp_path / "killed"))
    store.close()
    assert Files(killed).wal.stat().st_size > 0
    done = restore(killed, backup)
    assert titles(killed) == {"one", "two"}
    assert done.kept is not None
    assert titles(Path(done.kept)) == {"old", "in the log"}


def test_a_damaged_database_is_replaced_and_kept_as_it_is(data: Path, backup: Path) -> None:
    files = Files(data)
    files.database.write_bytes(b"noise" * 1000)
    files.wal.write_bytes(b"more noise" * 500)
    done = restore(data, backup)
    assert titles(data) == {"one", "two"}
    assert done.kept is not None
    assert (Path(done.kept) / "agentgw.db").read_bytes() == b"noise" * 1000


def test_a_turn_that_was_under_way_in_the_backup_is_not_gone_on_with(data: Path, tmp_path: Path) -> None:
    store = filled(tmp_path / "live")
    direct = Direct(store)
    started = run(direct.turns.start(NewTurn(message="go", skill="general-assistant", model="echo")))
    run(direct.turns.set_state(started.turn.turn_id, "waiting"))
    store.copy(tmp_path / "live.db", lambda: None)
    store.close()
    restore(data, tmp_path / "live.db")
    again = DatabaseFiles(data, "WAL")
    again.open()
    assert run(Direct(again).turns.get(started.turn.turn_id)).state == "interrupted"
    again.close()


def test_an_older_backup_is_brought_up_to_date(data: Path, backup: Path) -> None:
    with sqlite3.connect(backup) as plain:
        plain.execute("ALTER TABLE turns DROP COLUMN resumption")
        plain.execute("DELETE FROM _sqlite_migrations WHERE name = '014_resumption'")
    plain.close()
    restore(data, backup)
    assert titles(data) == {"one", "two"}


def test_a_newer_backup_is_refused(data: Path, backup: Path) -> None:
    with sqlite3.connect(backup) as plain:
        plain.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " SELECT migration_set, '999_future', applied_at FROM _sqlite_migrations LIMIT 1"
        )
    plain.close()
    with pytest.raises(ConfigRefused, match="newer agentgw") as caught:
        restore(data, backup)
    assert caught.value.hint == "upgrade agentgw first"
    assert titles(data) == {"old"}


def flipped(content: bytes) -> bytes:
    """A page in the middle overwritten."""
    middle = len(content) // 2 // 4096 * 4096
    return content[:middle] + b"\xff" * 4096 + content[middle + 4096 :]


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"SQLite format 3\0" + b"\0" * 4080, "cut", "flipped"],
    ids=lambda content: str(content)[:9],
)
def test_what_is_no_sound_backup_is_refused_and_changes_nothing(data: Path, backup: Path, content: bytes | str) -> None:
    whole = backup.read_bytes()
    made = {"cut": whole[: len(whole) // 2], "flipped": flipped(whole)}
    backup.write_bytes(made[content] if isinstance(content, str) else content)
    before = {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()}
    for attempt in (lambda: examine(backup), lambda: restore(data, backup)):
        with pytest.raises(BackupRefused):
            attempt()
    assert {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()} == before


_STEPS = "CREATE TABLE _sqlite_migrations (id INTEGER PRIMARY KEY, migration_set TEXT, name TEXT, applied_at TEXT)"


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE sessions (id)"],
        [_STEPS, "INSERT INTO _sqlite_migrations VALUES (1, 'llm', 'm001', 'x')", "CREATE TABLE sessions (id)"],
        [_STEPS, "INSERT INTO _sqlite_migrations VALUES (1, 'agentgw', '001_sessions_turns_messages', 'x')"],
        ["CREATE VIEW _sqlite_migrations AS SELECT 1 AS id, 'agentgw' AS migration_set, 'x' AS name"],
        ["CREATE TABLE _sqlite_migrations (name)", "INSERT INTO _sqlite_migrations VALUES ('agentgw')"],
    ],
)
def test_another_programs_database_is_refused(data: Path, tmp_path: Path, statements: list[str]) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as plain:
        for statement in statements:
            plain.execute(statement)
    plain.close()
    for attempt in (lambda: examine(other), lambda: restore(data, other)):
        with pytest.raises(BackupRefused, match=r"no database of agentgw's"):
            attempt()
    assert titles(data) == {"old"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DROP TABLE feedback", "it has no feedback"),
        ("ALTER TABLE feedback DROP COLUMN comment", "its feedback has no comment"),
        ("DROP TRIGGER messages_ai", "it has no messages_ai"),
        ("CREATE TRIGGER ours AFTER UPDATE ON turns BEGIN DELETE FROM sessions; END", "it has the trigger ours"),
    ],
)
def test_a_backup_with_other_tables_or_triggers_is_refused(data: Path, backup: Path, change: str, said: str) -> None:
    with sqlite3.connect(backup) as plain:
        plain.execute(change)
    plain.close()
    with pytest.raises(BackupRefused, match=said):
        restore(data, backup)
    assert titles(data) == {"old"}


def test_rows_that_a_step_cannot_take_are_one_line(
    data: Path, backup: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(backup) as plain:
        # In the place of a step that is still to be made.
        plain.execute("DELETE FROM _sqlite_migrations WHERE name = '019_asked_summaries'")
    plain.close()
    monkeypatch.setenv("AGENTGW_HOME", str(data.parent))
    assert main([str(backup)]) == BackupRefused.exit_status
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "cannot be brought up to date: duplicate column name: asked" in said
    assert titles(data) == {"old"}


def test_a_file_in_use_is_no_backup(data: Path, backup: Path) -> None:
    backup.with_name("backup.db-wal").write_bytes(b"x")
    with pytest.raises(BackupRefused, match="in use"):
        examine(backup)


def test_the_database_itself_is_no_backup(data: Path) -> None:
    with pytest.raises(BackupRefused, match="the database itself"):
        restore(data, data / "agentgw.db")
    assert titles(data) == {"old"}


@pytest.mark.parametrize("path", ["/nowhere", "/dev/zero", "/proc/self", "pipe"])
def test_what_is_no_file_is_refused_unread(data: Path, path: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for attempt in (lambda: examine(tmp_path / path), lambda: restore(data, tmp_path / path)):
        with pytest.raises(BackupRefused, match=r"is no file|cannot be read"):
            attempt()
    assert titles(data) == {"old"}


def test_a_kill_half_way_leaves_the_old_database(data: Path, backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(files: Files) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(restoring, "_empty_log", kill)
    with pytest.raises(KeyboardInterrupt):
        restore(data, backup)
    assert titles(data) == {"old"}


def test_the_program_checks_and_restores_and_refuses_beside_a_daemon(
    data: Path, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AGENTGW_HOME", str(tmp_path))
    monkeypatch.setattr(restoring, "_PATIENCE_S", 0.0)
    data.chmod(0o700)
    assert main(["--check", str(backup)]) == 0
    assert json.loads(capfd.readouterr().out) == {"sessions": 2}
    held = restoring.lock.acquire(str(data / "daemon.lock"), instance="i", version="v")
    assert main([str(backup)]) == 75
    assert "already running" in capfd.readouterr().err
    held.close()
    assert main([str(backup)]) == 0
    assert json.loads(capfd.readouterr().out)["sessions"] == 2
    assert main(["--check", str(tmp_path / "none")]) == 1
    assert capfd.readouterr().err.count("\n") == 1
