"""`agentgw backup` and `agentgw restore` as a user types them."""

from __future__ import annotations

import json

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.home import Home

pytestmark = pytest.mark.e2e


def titles(home: Home) -> set[str]:
    return {session["title"] for session in home.call("session.list")["sessions"]}


def test_what_was_backed_up_comes_back_and_what_was_there_is_kept(home: Home) -> None:
    home.ask("run", "-m", "echo", "first")
    done = home.run("backup", "keep.db")
    assert (done.status, done.out) == (0, f"{home.work}/keep.db\n")
    assert (home.work / "keep.db").stat().st_mode & 0o777 == 0o600
    home.ask("run", "-m", "echo", "second")
    assert home.run("backup", "keep.db").status == 1
    before = home.daemons()
    done = home.run("restore", "keep.db")
    assert (done.status, done.out) == (0, f"restored 1 session from {home.work}/keep.db\n")
    kept = done.err.strip().rpartition(" ")[2]
    assert titles(home) == {"first"}
    # It ran before, so it runs again.
    assert home.daemons() != before
    assert home.run("restore", f"{kept}/agentgw.db", "--json").status == 0
    assert titles(home) == {"first", "second"}
    home.ask("stop")
    assert json.loads(home.run("restore", "keep.db", "--json").out)["sessions"] == 1
    assert home.daemons() == []


def test_a_busy_daemon_is_not_stopped_for_it(home: Home, endpoint: Endpoint) -> None:
    home.ask("run", "-m", "echo", "first")
    assert home.run("backup", "keep.db").status == 0
    with home.connect() as wire:
        wire.request("turn.start", message="go", model="scripted/m")
        endpoint.next()
        done = home.run("restore", "keep.db")
        assert done.status == 75
        assert done.err == "agentgw: the daemon is busy: a turn is running. try later, or run: agentgw stop\n"


def test_a_file_that_is_no_backup_stops_nobody(home: Home) -> None:
    pid = home.daemon()
    (home.work / "notes.txt").write_text("notes")
    done = home.run("restore", "notes.txt")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith(f"agentgw: {home.work}/notes.txt is no database of agentgw's")
    assert home.daemons() == [pid]
