"""Tools from end to end: the starter model calls them, people allow them, and everything is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.home import Home

pytestmark = pytest.mark.e2e

BRIEF = ("run", "--system", "Be brief.", "--json", "-o", "temperature=0", "-o", "max_tokens=24")


@pytest.fixture(scope="module")
def agent() -> Iterator[Home]:
    """One installation whose model stays loaded."""
    with Home() as made:
        made.add_starter_model()
        yield made
        assert "Traceback" not in made.log


def run(home: Home, folder: Path, *words: str, environ: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    child = home.start(*BRIEF, *words, environ=environ, cwd=folder)
    out, _ = child.communicate(timeout=120)
    return child.returncode, json.loads(out) if out else {}


@pytest.mark.parametrize(
    ("message", "tool", "approve"),
    [
        ("What does notes.txt say?", "read_file", ("-t", "read_file")),
        ("Which files are in src?", "list_files", ("-t", "list_files")),
        ("Where is the word lighthouse used?", "search_text", ("-t", "search_text")),
        ("What time is it?", "current_time", ("-t", "current_time")),
        ("Create a.txt with the text hello", "write_file", ("--approve", "write_file")),
        ("Run the command echo hi", "run_command", ("--approve", "run_command")),
    ],
)
def test_the_starter_makes_a_call_that_works(
    agent: Home, tmp_path: Path, message: str, tool: str, approve: tuple[str, ...]
) -> None:
    (tmp_path / "notes.txt").write_text("The lighthouse is red.\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("print('lighthouse')\n")
    status, result = run(agent, tmp_path, *approve, message)
    assert status == 0
    assert [(call["tool"], call["ok"]) for call in result["tool_calls"]] == [(tool, True)], result
    assert agent.call("turn.show", turn_id=result["turn_id"])["tool_calls"] == result["tool_calls"]


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
    out, _ = agent.start(*words, cwd=tmp_path).communicate(timeout=60)
    assert "The lighthouse is red." in out.decode()
    refused = agent.start("tools", "call", "write_file", json.dumps({"path": "a", "content": "b"}), cwd=tmp_path)
    refused.communicate(timeout=60)
    assert (refused.returncode, (tmp_path / "a").exists()) == (5, False)
