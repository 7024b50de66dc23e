"""Every verb of sessions and ratings with the real binary: shown, found, renamed, forked, written out, deleted."""

from __future__ import annotations

import json
import re

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.home import Home

pytestmark = pytest.mark.e2e


def talk(home: Home, *messages: str) -> tuple[str, list[str]]:
    """A session with these messages, each answered with itself: its id and those of its turns."""
    results = [json.loads(home.ask("run", "-m", "echo", "--json", messages[0]))]
    for message in messages[1:]:
        results.append(json.loads(home.ask("run", "-c", "-m", "echo", "--json", message)))
    assert len({result["session_id"] for result in results}) == 1
    return results[0]["session_id"], [result["turn_id"] for result in results]


def test_a_session_is_listed_shown_found_and_renamed(home: Home) -> None:
    session, turns = talk(home, "Plan the **lighthouse** tour. It is in May.", "And the café?")
    (listed,) = json.loads(home.ask("sessions", "--json"))["sessions"]
    assert (listed["session_id"], listed["title"], listed["turns"]) == (session, "Plan the lighthouse tour", 2)
    shown = home.ask("sessions", "show", session)
    assert home.ask("history", session) == shown
    assert re.findall(r"^(\w+), .*, (t-\w+):$", shown, re.MULTILINE) == [
        ("user", turns[0]), ("assistant", turns[0]), ("user", turns[1]), ("assistant", turns[1]),
    ]  # fmt: skip
    assert "«café»" in home.ask("sessions", "search", "cafe")
    assert "«lighthouse» tour" in re.sub(r"\*\*", "", home.ask("sessions", "search", "light*"))
    assert home.ask("sessions", "rename", session, "The", "tour") == "The tour\n"
    assert "The tour" in home.ask("sessions")


def test_a_fork_goes_its_own_way_and_outlives_the_original(home: Home) -> None:
    session, turns = talk(home, "one", "two", "three")
    fork = home.ask("sessions", "fork", session, "--at", turns[1]).strip()
    home.ask("run", "--session", fork, "-m", "echo", "four")
    assert re.findall(r"^(one|two|three|four)$", home.ask("history", fork), re.MULTILINE)[::2] == ["one", "two", "four"]
    done = home.run("sessions", "delete", session)
    assert (done.status, done.out, done.err) == (0, "", f"agentgw: deleted {session}\n")
    assert home.run("history", session).status == 1
    (left,) = json.loads(home.ask("sessions", "--json"))["sessions"]
    assert (left["session_id"], left["turns"]) == (fork, 3)
    assert "three" not in home.ask("sessions", "search", "--json", "three")
    # All its turns can still be run again, those it was given too.
    for turn in home.call("turn.list", session_id=fork)["turns"]:
        assert home.ask("replay", turn["turn_id"]).startswith("identical\n")


def test_calls_are_in_history_and_exports(home: Home, endpoint: Endpoint) -> None:
    (home.work / "notes.txt").write_text("The lamp is ```red```.\n")
    child = home.start("run", "-m", "scripted/m", "--json", "What do the notes say?")
    endpoint.next().call("read_file", path="notes.txt")
    endpoint.next().end("It is red.")
    session = json.loads(home.finish(child).out)["session_id"]
    shown = home.ask("history", session)
    assert "  read_file(path='notes.txt')\n    The lamp is ```red```.\nIt is red.\n" in shown
    markdown = home.ask("sessions", "export", session)
    assert "Tool read_file:" in markdown
    assert "\n    The lamp is ```red```.\n" in markdown
    exported = json.loads(home.ask("sessions", "export", session, "--format", "json"))
    (call,) = exported["messages"][-1]["tool_calls"]
    assert (call["tool"], call["ok"], call["content"]) == ("read_file", True, "The lamp is ```red```.\n")
    assert exported["messages"] == json.loads(home.ask("history", session, "--json"))["messages"]


def test_ratings_are_of_the_last_turn_here_or_a_named_one_and_counted(home: Home) -> None:
    session, turns = talk(home, "one", "two")
    assert home.ask("feedback", "+1").split() == ["+1", turns[1], "two"]
    home.ask("feedback", "-1", turns[0], "--comment", "too short")
    home.ask("feedback", "-1", session)
    listed = json.loads(home.ask("feedback", "list", "--json"))
    assert [(one["turn_id"], one["rating"]) for one in listed["ratings"]] == [(turns[1], -1), (turns[0], -1)]
    assert listed["counts"] == [{"skill": "general-assistant", "model": "echo", "good": 0, "bad": 2}]
    assert json.loads(home.ask("feedback", "list", "--json", "--rating", "1"))["ratings"] == []
    assert "too short" in home.ask("feedback")
    assert "general-assistant  echo   0     2" in home.ask("stats")
