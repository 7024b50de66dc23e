"""The database's file removed, replaced or moved away under the running daemon: nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.e2e.home import Home, until

pytestmark = pytest.mark.e2e


def questions(file: Path) -> list[str]:
    """The users' messages in a database, by another process's eyes."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = database.execute("SELECT content FROM messages WHERE role = 'user' ORDER BY rowid")
        return [content for (content,) in rows]


@pytest.mark.parametrize(
    "names", [("agentgw.db",), ("agentgw.db-wal",), ("agentgw.db", "agentgw.db-wal")], ids="+".join
)
def test_turns_outlive_a_removed_file_and_a_kill(home: Home, names: tuple[str, ...]) -> None:
    data = home.path / "data"
    assert home.ask("run", "-m", "echo", "first") == "first\n"
    for name in names:
        (data / name).unlink()
    second = home.run("run", "-m", "echo", "second")
    assert (second.status, second.out) == (0, "second\n")
    home.kill_daemon()
    assert questions(home.database_copy()) == ["first", "second"]
    home.ask("start")
    assert [turn["state"] for turn in home.call("turn.list")["turns"]] == ["completed", "completed"]


def test_a_file_that_is_removed_while_nothing_happens_comes_back_and_doctor_says_so(home: Home) -> None:
    home.ask("run", "-m", "echo", "first")
    file = home.path / "data" / "agentgw.db"
    file.unlink()
    until(file.exists, "the file is back")
    [found] = [one for one in home.call("daemon.doctor")["findings"] if one["check"] == "database"]
    assert found["severity"] == "warning"
    assert "agentgw.db was removed at " in found["message"]
    told = home.run("run", "-m", "echo", "second")
    assert "agentgw.db was removed while agentgw used it; it was written back, nothing is lost" in told.err


def test_a_database_that_was_put_in_its_place_is_opened_by_the_next_daemon(home: Home) -> None:
    data = home.path / "data"
    home.ask("run", "-m", "echo", "of the backup")
    home.ask("stop")
    shutil.copy(data / "agentgw.db", home.work / "backup.db")
    daemon = home.serve()
    home.ask("run", "-m", "echo", "later")
    shutil.copy(home.work / "backup.db", data / "new.db")
    (data / "new.db").replace(data / "agentgw.db")
    asked = home.run("run", "-m", "echo", "who takes this")
    # The turn finds it out, or the daemon's own look does before it; then the next daemon may answer.
    if asked.status:
        assert "another file was put in the place of agentgw.db" in asked.err
    taken = [] if asked.status else ["who takes this"]
    assert home.finish(daemon).status == 1
    assert home.ask("run", "-m", "echo", "goes on") == "goes on\n"
    assert questions(home.database_copy()) == ["of the backup", *taken, "goes on"]
    [kept] = data.glob("displaced-*")
    assert questions(kept / "agentgw.db") == ["of the backup", "later"]


def test_a_database_that_was_copied_over_it_is_opened_by_the_next_daemon(home: Home) -> None:
    file = home.path / "data" / "agentgw.db"
    home.ask("run", "-m", "echo", "of the backup")
    home.ask("stop")
    shutil.copy(file, home.work / "backup.db")
    daemon = home.serve()
    home.ask("run", "-m", "echo", "later " * 20_000)
    home.ask("stop")
    home.finish(daemon)
    daemon = home.serve()
    shutil.copy(home.work / "backup.db", file)
    assert home.finish(daemon).status == 1
    assert home.ask("run", "-m", "echo", "goes on") == "goes on\n"
    assert questions(home.database_copy()) == ["of the backup", "goes on"]


def test_a_folder_that_is_removed_ends_the_daemon_and_is_not_made_again_by_it(home: Home) -> None:
    daemon = home.serve()
    home.ask("run", "-m", "echo", "first")
    (home.path / "data").rename(home.work / "data")
    assert home.finish(daemon).status == 1
    assert not (home.path / "data").exists()
    assert questions(home.work / "data" / "agentgw.db") == ["first"]
    assert json.loads(home.ask("run", "-m", "echo", "--json", "anew"))["text"] == "anew"


def test_a_detached_turn_under_way_is_stored_though_its_file_goes(home: Home) -> None:
    turn = home.ask("run", "-m", "echo", "--detach", "-q", "a long way " * 200).strip()
    (home.path / "data" / "agentgw.db").unlink()
    until(lambda: home.call("turn.show", turn_id=turn)["turn"]["state"] == "completed", "the turn is done")
    home.kill_daemon()
    [stored] = questions(home.database_copy())
    assert stored == "a long way " * 200
