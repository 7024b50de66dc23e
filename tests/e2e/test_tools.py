"""Tools from end to end: the starter model calls them, people allow them, and everything is stored."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.home import Home, starter_home
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.e2e

BRIEF = ("run", "--system", "Be brief.", "--json", "-o", "temperature=0", "-o", "max_tokens=24")


@pytest.fixture(scope="module")
def agent() -> Iterator[Home]:
    """One installation whose model stays loaded."""
    yield from starter_home()


def run(home: Home, folder: Path, *words: str, environ: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    child = home.start(*BRIEF, *words, environ=environ, cwd=folder)
    out, _ = child.communicate(timeout=PATIENCE_S)
    return child.returncode, json.loads(out) if out else {}


@pytest.mark.parametrize(
    ("message", "tool", "approve"),
    [
        ("What does notes.txt say?", "read_file", ("-t", "read_file")),
        ("Which files are in src?", "list_files", ("-t", "list_files")),
        ("Where is the word lighthouse used?", "search_text", ("-t", "search_text")),
        ("What time is it?", "current_time", ("-t", "current_time")),
        ("Create a.txt with the text hello", "write_file", ("--approve", "write_file")),
        ("In notes.txt change red to blue", "edit_file", ("--approve", "edit_file")),
        ("Run the command echo hi", "run_command", ("--approve", "run_command")),
        ("How many rows has table pets in my.db?", "query_sqlite", ("-t", "query_sqlite")),
        ("Ask quick-assistant what the capital of France is", "delegate_to_agent", ("-s", "project-manager")),
    ],
)
def test_the_starter_makes_a_call_that_works(
    agent: Home, tmp_path: Path, message: str, tool: str, approve: tuple[str, ...]
) -> None:
    (tmp_path / "notes.txt").write_text("The lighthouse is red.\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("print('lighthouse')\n")
    with closing(sqlite3.connect(tmp_path / "my.db")) as db, db:
        db.execute("CREATE TABLE pets (name TEXT)")
        db.execute("INSERT INTO pets VALUES ('Tom'), ('Jerry')")
    status, result = run(agent, tmp_path, *approve, message)
    assert status == 0
    assert [(call["tool"], call["ok"]) for call in result["tool_calls"]] == [(tool, True)], result
    assert agent.call("turn.show", turn_id=result["turn_id"])["tool_calls"] == result["tool_calls"]


def test_what_the_starter_calls_takes_effect(agent: Home, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("The lighthouse is red.\n")
    status, result = run(agent, tmp_path, "--approve", "edit_file", "In notes.txt change red to blue")
    assert status == 0, result
    assert (tmp_path / "notes.txt").read_text() == "The lighthouse is blue.\n"


def test_the_starter_asks_for_a_page_and_an_address_that_is_not_public_is_refused(agent: Home, tmp_path: Path) -> None:
    # No page of the public internet is fetched in a test; what is refused here is never connected to.
    status, result = run(agent, tmp_path, "--approve", "fetch_url", "Open https://127.0.0.1/page")
    assert status == 0
    (call,) = {json.dumps(call["arguments"]): call for call in result["tool_calls"]}.values()
    assert (call["tool"], call["arguments"]) == ("fetch_url", {"url": "https://127.0.0.1/page"})
    assert call["ok"] is False
    assert call["content"] == "127.0.0.1 is not on the public internet"


def test_a_project_manager_hands_a_part_to_another_skill(agent: Home, tmp_path: Path) -> None:
    child = agent.start(
        "run", "-s", "project-manager", "-o", "temperature=0", "-o", "max_tokens=24",
        "Delegate to code-assistant: write a Python function that adds two numbers", cwd=tmp_path,
    )  # fmt: skip
    out, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 0
    assert out.strip(), "the manager's own answer"
    said = err.decode()
    assert "delegate_to_agent(skill='code-assistant', task='write a Python function that adds two numbers')" in said
    assert "code-assistant works on it" in said
    assert "code-assistant" not in out.decode()
    first, second = agent.call("session.list", limit=2)["sessions"]
    parent, worker = (first, second) if second.get("delegated_by") else (second, first)
    assert (parent["skill"], worker["skill"]) == ("project-manager", "code-assistant")
    assert worker["parent_id"] == parent["session_id"]
    (turn,) = agent.call("turn.list", session_id=parent["session_id"])["turns"]
    (below,) = agent.call("turn.list", session_id=worker["session_id"])["turns"]
    assert worker["delegated_by"] == turn["turn_id"]
    above, under = (agent.call("turn.show", turn_id=one["turn_id"]) for one in (turn, below))
    assert under["message"] == "write a Python function that adds two numbers"
    assert under["usage"]["completion_tokens"] == 24
    assert above["tool_calls"][0]["content"].startswith(under["text"].strip()[:20])
    own = sum(step["usage"]["prompt_tokens"] for step in above["steps"])
    assert above["usage"]["prompt_tokens"] == own + under["usage"]["prompt_tokens"]


def test_a_dry_run_counts_the_call_that_goes_first(agent: Home, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("The lighthouse is red.\n")
    words = ("-t", "read_file", "What does notes.txt say?")
    _, counted = run(agent, tmp_path, "--dry-run", *words)
    _, made = run(agent, tmp_path, *words)
    parts = {part["name"]: part["tokens"] for part in counted["parts"]}
    assert list(parts) == ["template", "tool read_file", "examples", "message"]
    first = agent.call("turn.show", turn_id=made["turn_id"])["steps"][0]
    assert sum(parts.values()) == counted["usage"]["prompt_tokens"] == first["usage"]["prompt_tokens"]
    assert "Write the call for the request." in counted["text"]


def test_in_a_pipe_nothing_is_changed_unasked(agent: Home, tmp_path: Path) -> None:
    status, result = run(agent, tmp_path, "Create a.txt with the text hello")
    assert status == 0
    assert result["tool_calls"] == [], "a model that cannot choose is led to tools that the user names"
    assert list(tmp_path.iterdir()) == []
    status, result = run(agent, tmp_path, "-t", "write_file", "Create a.txt with the text hello")
    assert (status, result["tool_calls"]) == (0, [])
    assert list(tmp_path.iterdir()) == []


def test_tools_are_listed_and_called_by_hand(agent: Home, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("The lighthouse is red.\n")
    listed = {tool["name"]: tool for tool in agent.call("tool.list")["tools"]}
    assert {"read_file", "write_file", "run_command", "query_sqlite", "fetch_url"} <= set(listed)
    assert {listed[name]["effect"] for name in ("read_file", "write_file", "fetch_url")} == {"read", "write", "network"}
    words = ("tools", "call", "read_file", json.dumps({"path": "notes.txt"}))
    out, _ = agent.start(*words, cwd=tmp_path).communicate(timeout=PATIENCE_S)
    assert "The lighthouse is red." in out.decode()
    refused = agent.start("tools", "call", "write_file", json.dumps({"path": "a", "content": "b"}), cwd=tmp_path)
    refused.communicate(timeout=PATIENCE_S)
    assert (refused.returncode, (tmp_path / "a").exists()) == (5, False)
