"""An endpoint that says what it should not, and a database with rows that went bad: the installation goes on."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.e2e.endpoint import Conversation, Endpoint
from tests.e2e.home import Home, until
from tests.e2e.wire import Refused
from tests.hostile import DEEP

pytestmark = pytest.mark.e2e


def chunk(delta: str) -> bytes:
    """A piece of the stream, its delta as it is written here: with escapes that are only half of a character."""
    return b'data: {"choices":[{"index":0,"delta":' + delta.encode() + b"}]}\n\n"


def calling(tool: str, arguments: str) -> str:
    """The delta of a call; both are JSON texts of strings."""
    return f'{{"tool_calls":[{{"index":0,"id":"c1","function":{{"name":{tool},"arguments":{arguments}}}}}]}}'


def answered(home: Home, endpoint: Endpoint, *deltas: str) -> tuple[str, Conversation | None]:
    """The text that the user reads of a turn whose model says this; and the model's next question, if it called."""
    child = home.start("run", "-m", "scripted/m", "go")
    first = endpoint.next()
    for delta in deltas:
        first.pieces.put(chunk(delta))
    called = "tool_calls" in deltas[-1]
    first._finish("tool_calls" if called else "stop")
    second = endpoint.next() if called else None
    if second is not None:
        second.end("sorry")
    done = home.finish(child)
    assert done.status == 0, done
    return done.out, second


@pytest.mark.parametrize(
    ("deltas", "shown"),
    [
        (('{"content":"a \\ud83d"}', '{"content":"\\ude00 b"}'), "a 😀 b"),
        (('{"content":"half \\ud83d"}', '{"content":"x\\ude00"}'), "half \ufffdx\ufffd"),
        (('{"reasoning_content":"\\ud83d"}', '{"content":"yes \\ud83d"}'), "yes \ufffd"),
    ],
)
def test_halves_of_characters_are_joined_or_replaced(
    home: Home, endpoint: Endpoint, deltas: tuple[str, ...], shown: str
) -> None:
    pid = home.daemon()
    assert answered(home, endpoint, *deltas)[0].strip() == shown
    is_all_there(home, pid)


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("read_file", '{"path": "\\ud83d.txt"}', "no such file"),
        ("nobody", DEEP, "nested deeper than 64"),
        ("query_sqlite", '{"path": "x.db", "query": "SELECT ?", "params": [NaN]}', "NaN is not JSON"),
        ("query_sqlite", '{"path": "x.db", "query": "SELECT ?", "params": [1e999]}', "too large"),
        ("read_file", '{"path": "a", "path": "b"}', "same key twice"),
        ("read_file", '{"path": ' + "9" * 5000 + "}", "64 bits"),
        ("n" * 5000, "{}", "no tool has a name"),
        ("lo\x00\x1b[2Jok", "{}", "there is no tool"),
        ("half\ud83d", "{}", "there is no tool half\ufffd"),
    ],
)
def test_a_hostile_call_is_told_to_the_model(
    home: Home, endpoint: Endpoint, tool: str, arguments: str, told: str
) -> None:
    pid = home.daemon()
    out, asked = answered(home, endpoint, calling(json.dumps(tool), json.dumps(arguments)))
    assert out.strip() == "sorry"
    assert asked is not None
    assert told in str(asked.messages[-1]["content"])
    is_all_there(home, pid)


def is_all_there(home: Home, pid: int) -> None:
    """The daemon lives; its one session is listed, shown, exported, searched and deleted."""
    assert home.daemon() == pid
    (session,) = json.loads(home.ask("sessions", "--json"))["sessions"]
    (turn,) = json.loads(home.ask("turns", "--all", "--json"))["turns"]
    home.ask("history", session["session_id"])
    home.ask("history", session["session_id"], "--json")
    for form in ("md", "json"):
        home.ask("sessions", "export", session["session_id"], "--format", form)
    home.ask("turns", "show", turn["turn_id"])
    assert home.run("attach", turn["turn_id"]).status == 0
    home.ask("sessions", "search", "go")
    home.ask("stats")
    turns = home.run("turns")
    assert turns.out.count("\n") == 1, "the heading alone"
    assert "nothing runs or waits" in turns.err
    assert home.run("sessions", "delete", session["session_id"]).status == 0
    assert json.loads(home.ask("sessions", "--json"))["sessions"] == []


def left_waiting(home: Home, endpoint: Endpoint) -> dict[str, Any]:
    """The daemon was killed while this question was open."""
    home.daemon()
    with home.connect() as wire:
        wire.call("turn.start", message="do it", model="scripted/m", cwd=str(home.work), detach=True)
    endpoint.next().call("run_command", argv=["sh", "-c", "echo ran >> effect"])

    def asked() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(home.ask("approvals", "--json"))["approvals"]
        return found

    (approval,) = until(asked, "the question is open")
    home.kill_daemon()
    return approval


def change(home: Home, *statements: str) -> None:
    """Changes the database while no daemon runs."""
    with closing(sqlite3.connect(home.path / "data" / "agentgw.db")) as database, database:
        for statement in statements:
            database.execute(statement)


def test_a_turn_that_ends_each_daemon_that_goes_on_with_it_ends_one(home: Home, endpoint: Endpoint) -> None:
    asked = left_waiting(home, endpoint)
    turn_id, session_id = asked["turn_id"], asked["session_id"]
    dying = home.start("serve", environ={"AGENTGW_FAIL": "turn-resumed:1:kill"})
    assert home.finish(dying).status == -9
    pid = home.daemon()
    assert json.loads(home.ask("turns", "--json"))["turns"] == []
    shown = home.ask("turns", "show", turn_id)
    assert "interrupted" in shown
    assert "not tried again" in shown
    assert home.run("attach", turn_id).status == 130
    found = json.loads(home.run("doctor", "--json").out)["findings"]
    (finding,) = [one for one in found if one["check"] == "turns"]
    assert (finding["severity"], turn_id in finding["message"]) == ("warning", True)
    assert f"agentgw sessions delete {session_id}" in finding["fix"]
    cancelled = home.run("turns", "cancel", turn_id)
    assert (cancelled.status, "was cut off" in cancelled.err) == (1, True)
    assert home.run("sessions", "delete", session_id).status == 0
    assert home.daemon() == pid
    assert not (home.work / "effect").exists()


def test_a_waiting_turn_outlives_one_kill_after_the_other(home: Home, endpoint: Endpoint) -> None:
    asked = left_waiting(home, endpoint)
    for _ in range(2):
        home.daemon()
        until(lambda: is_back(home, asked["turn_id"]), "the turn is back at its question")
        home.kill_daemon()
    home.daemon()
    (turn,) = json.loads(home.ask("turns", "--json"))["turns"]
    assert (turn["turn_id"], turn["state"], turn["detached"]) == (asked["turn_id"], "waiting", True)
    assert asked["turn_id"] in home.ask("turns")
    assert home.run("sessions", "delete", asked["session_id"]).status == 0
    assert json.loads(home.ask("approvals", "--json"))["approvals"] == []
    with pytest.raises(Refused), home.connect() as wire:
        wire.call("turn.show", turn_id=asked["turn_id"])


def is_back(home: Home, turn_id: str) -> bool:
    with closing(sqlite3.connect(home.database_copy())) as database:
        sql = "SELECT resumption FROM turns WHERE id = ?"
        return bool(database.execute(sql, (turn_id,)).fetchone() == (2,))


def test_a_turn_is_cancelled_from_another_terminal(home: Home, endpoint: Endpoint) -> None:
    home.ask("run", "--detach", "-q", "-m", "scripted/m", "go")
    endpoint.next().say("Well")
    (turn,) = json.loads(home.ask("turns", "--json"))["turns"]
    busy = home.run("sessions", "delete", turn["session_id"])
    assert (busy.status, f"agentgw turns cancel {turn['turn_id']}" in busy.err) == (75, True)
    assert home.run("turns", "cancel", turn["turn_id"][:-3]).status == 0
    again = home.run("turns", "cancel", turn["turn_id"])
    assert (again.status, "has ended (cancelled)" in again.err) == (1, True)
    assert home.run("turns", "cancel", "t-nothing").status == 1
    assert home.run("sessions", "delete", turn["session_id"]).status == 0


def test_a_database_of_an_earlier_version_with_bad_rows_serves_shows_and_deletes(
    home: Home, endpoint: Endpoint
) -> None:
    asked = left_waiting(home, endpoint)
    nan = '{"params": [NaN], "deep": ' + "[" * 200 + "]" * 200 + "}"
    change(
        home,
        f"UPDATE approvals SET arguments = '{nan}', details = '['",
        "INSERT INTO approval_rules (id, tool, arguments, cwd, digest, created_at)"
        " VALUES ('r-1', 'query_sqlite', '{\"params\": [NaN]}', '/', 'd', '2026-01-01T00:00:00Z')",
        "INSERT INTO tool_calls (turn_id, call_id, tool, arguments, started_at, ended_at, ok, content)"
        f" SELECT id, 'c-9', 'query_sqlite', '{nan}', created_at, created_at, 1, '1' FROM turns",
        # Another one, of which hardly anything is there, marked as running by a daemon of before.
        "INSERT INTO sessions (id, title, skill, created_at, updated_at)"
        " VALUES ('s-bad', x'ff', 'general-assistant', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z')",
        "INSERT INTO turns (id, session_id, skill, model, state, created_at, system, options)"
        " VALUES ('t-bad', 's-bad', 'general-assistant', 'm', 'running', '2026-01-01T00:00:00Z', '', '{\"seed\": NaN')",
        "INSERT INTO messages (id, session_id, turn_id, role, content, created_at)"
        " VALUES ('m-bad', 's-bad', 't-bad', 'user', 'what', '2026-01-01T00:00:00Z')",
        "INSERT INTO turn_steps (turn_id, n, step, upto_seq) VALUES ('t-bad', 1, '{\"text\": ', 0)",
        "INSERT INTO turn_log (turn_id, seq, count, method, payload) VALUES ('t-bad', 1, 3, 'turn.delta', '[7')",
    )
    pid = home.daemon()
    assert home.run("approvals").status == 0
    home.ask("approvals", "rules")
    assert json.loads(home.ask("turns", "show", "t-bad", "--json"))["unreadable"] == ["steps[1]", "options"]
    assert "steps[1], options" in home.ask("turns", "show", "t-bad")
    assert home.run("attach", "t-bad").status == 130
    for session in ("s-bad", asked["session_id"]):
        home.ask("history", session)
        home.ask("sessions", "export", session, "--format", "json")
        home.run("sessions", "delete", session)
    assert json.loads(home.ask("sessions", "--json"))["sessions"] == []
    assert home.daemon() == pid
    assert not (home.work / "effect").exists()
