from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.tool_calling.choosing.relevance import addresses, files, rank, terms, words
from agentgw_daemon.tool_calling.prompting.view import ToolView
from tests.tool_calling.toolset import TOOLS


def best(request: str) -> str | None:
    ranked = rank(request, TOOLS)
    return ranked[0][0].name if ranked else None


# One request a tool that none of the few-shot examples was written after.
REQUESTS = {
    "Please read src/app.py to me": "read_file",
    "List everything in build/": "list_files",
    "Find the text 'deadline' in my notes": "search_text",
    "Create numbers.txt with the numbers 1 to 5": "write_file",
    "Change the title in index.html from Home to Start": "edit_file",
    "Execute npm install": "run_command",
    "How many users are in the database members.db?": "query_sqlite",
    "What does http://localhost:3000/health return?": "fetch_url",
    "Which day of the week is it?": "current_time",
    "Ask code-assistant to write tests": "delegate_to_agent",
}


@pytest.mark.parametrize("request_", REQUESTS)
def test_the_words_of_a_request_find_the_tool(request_: str) -> None:
    assert best(request_) == REQUESTS[request_]


def test_an_address_finds_its_tool_in_any_language() -> None:
    assert best("Fasse https://example.org/a zusammen") == "fetch_url"


def test_words_that_no_tool_has_find_none() -> None:
    assert best("Why is the sky blue?") is None


def test_of_equal_tools_the_first_comes_first() -> None:
    twins = [ToolView(name=name, description="paint", parameters={}) for name in ("b", "a")]
    assert [tool.name for tool, _ in rank("paint it", twins)] == ["b", "a"]


def test_the_first_word_of_a_request_counts_more() -> None:
    tools = [ToolView(name=name, description="", parameters={}) for name in ("sing", "paint")]
    assert rank("paint and sing", tools)[0][0].name == "paint"


def test_what_files_and_addresses_look_like() -> None:
    text = "Compare ~/a.txt, 'src/b' and http://x.org/c.html (or config.toml). Version 1.0, e.g. this"
    assert files(text) == ["~/a.txt", "src/b", "config.toml"]
    assert addresses(text) == ["http://x.org/c.html"]
    assert terms("Reading a.TXT") == ["read", "<file>", ".txt"]
    assert words("Run `ls -l`, ls") == ["Run", "ls", "-l", "ls"]


@given(st.text())
def test_any_request_can_be_ranked(request: str) -> None:
    assert all(score > 0 for _, score in rank(request, TOOLS))
