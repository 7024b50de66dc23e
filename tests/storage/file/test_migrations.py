from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from agentgw.protocol.errors import ConfigRefused
from agentgw_daemon.storage.file.backups import is_sound
from agentgw_daemon.storage.file.migrations import MIGRATIONS
from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.sqlite.library import Migrations, sqlite_utils
from tests.storage.direct import Direct, talk
from tests.storage.file.crashes import LATER


def _open(data: Path, migrations: Migrations = MIGRATIONS) -> DatabaseFiles:
    store = DatabaseFiles(data, "WAL", migrations)
    store.open()
    return store


def test_a_new_database_gets_every_step_and_no_backup(tmp_path: Path) -> None:
    store = _open(tmp_path)
    assert store.migrated == tuple(step.name for step in MIGRATIONS.pending(sqlite_utils.Database(memory=True)))
    assert store.backups.newest_first() == ()
    store.close()
    assert _open(tmp_path).migrated == ()


def test_an_old_database_is_backed_up_and_then_migrated(tmp_path: Path) -> None:
    store = _open(tmp_path)
    talk(Direct(store), "hello", "there")
    store.close()
    before = store.backups.newest_first()
    store = _open(tmp_path, LATER)
    assert store.migrated == ("999_notes",)
    (made,) = set(store.backups.newest_first()) - set(before)
    assert is_sound(made)
    assert store.read(lambda db: db.execute("SELECT count(*) FROM notes").fetchone()[0]) == 1
    store.close()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    _open(tmp_path, LATER).close()
    content = (tmp_path / "agentgw.db").read_bytes()
    store = DatabaseFiles(tmp_path, "WAL")
    with pytest.raises(ConfigRefused, match="newer agentgw") as caught:
        store.open()
    assert "upgrade" in caught.value.hint
    assert (tmp_path / "agentgw.db").read_bytes() == content
    _open(tmp_path, LATER).close()


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["CREATE TABLE notes (id)"], "another program's: it has the table notes"),
        (["CREATE TABLE sessions (id)"], "another program's: it has the table sessions"),
        (["CREATE VIEW _sqlite_migrations AS SELECT 'agentgw' AS migration_set, 'x' AS name"], "applied_at"),
        (
            [
                "CREATE TABLE _sqlite_migrations (id INTEGER PRIMARY KEY, migration_set, name, applied_at)",
                "INSERT INTO _sqlite_migrations VALUES (1, 'agentgw', '001_sessions_turns_messages', 'x')",
            ],
            "cannot be brought up to date, or is another program's: no such table: ",
        ),
    ],
)
def test_tables_that_are_not_ours_are_refused_in_one_line_and_left_where_they_are(
    tmp_path: Path, statements: list[str], said: str
) -> None:
    with sqlite3.connect(tmp_path / "agentgw.db") as plain:
        for statement in statements:
            plain.execute(statement)
    plain.close()
    with pytest.raises(ConfigRefused, match=said) as caught:
        DatabaseFiles(tmp_path, "WAL").open()
    assert "move it away" in caught.value.hint
    with sqlite3.connect(tmp_path / "agentgw.db") as plain:
        kept = {str(row[0]) for row in plain.execute("SELECT sql FROM sqlite_master")}
    plain.close()
    assert {one for one in statements if one.startswith("CREATE")} <= kept


def test_a_backup_of_an_older_version_is_migrated_when_it_takes_the_place(tmp_path: Path) -> None:
    store = _open(tmp_path)
    talk(Direct(store), "hello", "there")
    store.close()
    (tmp_path / "agentgw.db").write_bytes(b"gone")
    store = _open(tmp_path, LATER)
    assert store.take_recovery() is not None
    assert store.read(lambda db: db.execute("SELECT count(*) FROM notes").fetchone()[0]) == 1
    store.close()
