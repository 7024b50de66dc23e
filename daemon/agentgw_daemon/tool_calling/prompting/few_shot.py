"""Requests that call for the built-in tools: knowledge that weak models need beyond the tools' descriptions.

A small model copies the pattern of an example far better than it follows a description. Keywords are the words of such
requests that name and description lack. Tools of others come without; they are found by their own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agentgw_daemon.tool_calling.prompting.view import Example, ToolView

# Examples and keywords of one tool; see ToolView.
_FewShot = tuple[tuple[Example, ...], tuple[str, ...]]


def view(name: str, description: str, parameters: Mapping[str, Any]) -> ToolView:
    """A tool as weak models are led to it, with the examples and keywords there are."""
    examples, keywords = _FEW_SHOT.get(name, ((), ()))
    return ToolView(
        name=name, description=description, parameters=dict(parameters), examples=examples, keywords=keywords
    )


def _few_shot(keywords: str, *examples: tuple[str, Mapping[str, Any]]) -> _FewShot:
    made = tuple(Example(request=request, arguments=arguments) for request, arguments in examples)
    return made, tuple(keywords.split())


_FEW_SHOT: Final[Mapping[str, _FewShot]] = {
    "read_file": _few_shot(
        "show print open contents say tell see",
        ("What does notes.txt say?", {"path": "notes.txt"}),
        ("Show me the file src/a.py", {"path": "src/a.py"}),
    ),
    "list_files": _few_shot(
        "directory folder ls here documents",
        ("Which files are in src?", {"path": "src"}),
        ("List the files here", {"path": "."}),
        ("Show the folder images", {"path": "images"}),
    ),
    "search_text": _few_shot(
        "search grep look contain mention occurs word text where",
        ("Where is the word TODO used?", {"pattern": "TODO"}),
        ("Search for apple in all files", {"pattern": "apple"}),
    ),
    "write_file": _few_shot(
        "write save make new",
        ("Create a.txt with the text hello", {"path": "a.txt", "content": "hello"}),
        ("Write a greeting to the file b.md", {"path": "b.md", "content": "Good day to you!"}),
        ("Save 'y = 2' as c.py", {"path": "c.py", "content": "y = 2"}),
    ),
    "edit_file": _few_shot(
        "change replace rename fix substitute typo",
        ("In b.md change cat to dog", {"path": "b.md", "old": "cat", "new": "dog"}),
        ("Replace x with y in c.py", {"path": "c.py", "old": "x", "new": "y"}),
    ),
    "run_command": _few_shot(
        "execute shell script start command",
        ("Run git status", {"argv": ["git", "status"]}),
        ("Execute the command df -h", {"argv": ["df", "-h"]}),
        ("Start server.py with python", {"argv": ["python", "server.py"]}),
    ),
    "query_sqlite": _few_shot(
        "database rows count sql query .db .sqlite .sqlite3",
        ("How many rows has table pets in my.db?", {"path": "my.db", "sql": "SELECT count(*) FROM pets"}),
        ("Show the names in the database a.sqlite", {"path": "a.sqlite", "sql": "SELECT name FROM names"}),
        (
            "Which tables are in b.db?",
            {"path": "b.db", "sql": "SELECT name FROM sqlite_master WHERE type = 'table'"},
        ),
    ),
    "fetch_url": _few_shot(
        "download website web site page load http link open",
        ("Open https://a.org/x", {"url": "https://a.org/x"}),
        ("What does the web page http://b.net say?", {"url": "http://b.net"}),
    ),
    "current_time": _few_shot(
        "today day weekday clock late hour",
        ("What time is it?", {}),
        ("Which date is today?", {}),
    ),
    "search_documents": _few_shot(
        "document notes note wrote find found know anything about papers",
        ("What do my notes say about boats?", {"query": "boats"}),
        ("Search my documents for plum jam", {"query": "plum jam"}),
        ("Find what I wrote on tea", {"query": "tea"}),
    ),
    "delegate_to_agent": _few_shot(
        "delegate hand ask agent assistant",
        ("Let code-assistant fix the bug", {"skill": "code-assistant", "task": "fix the bug"}),
        ("Ask writer to make a poem about cats", {"skill": "writer", "task": "make a poem about cats"}),
        ("Delegate to tester: run all tests", {"skill": "tester", "task": "run all tests"}),
    ),
}
