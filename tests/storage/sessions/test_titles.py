from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.storage.sessions.titles import MAX_TITLE, title_of


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("Hello there", "Hello there"),
        ("  two\n\nlines\t", "two lines"),
        ("", "untitled"),
        (" \n```\n```\n---\n", "untitled"),
        ("\x1b[31mred\x00", "red"),
        ("word " * 40, "word " * 11 + "word…"),
        ("x" * 200, "x" * 59 + "…"),
        ("How do I bake bread? I have flour and water.", "How do I bake bread?"),
        ("Hi. How do I bake bread? Thanks.", "Hi. How do I bake bread?"),
        ("Fix this function.\n\nIt is slow.", "Fix this function"),
        ("Explain this code:\n```python\nimport os\n```", "Explain this code"),
        ("```python\nimport os\nprint(os.getcwd())\n```", "import os print(os.getcwd())"),
        ("# Plan for **Monday** morning", "Plan for Monday morning"),
        ("> - 1. [the docs](https://x.org/a) of `run` say *what* now?", "the docs of run say what now?"),
        ("what is snake_case_name and 2 * 3 * 4 in v1.2", "what is snake_case_name and 2 * 3 * 4 in v1.2"),
        ("safe\u202eevil\u200b text is here", "safeevil text is here"),
        ("東京の天気はどうですか？明日も教えてください。", "東京の天気はどうですか？"),
        ("天" * 100, "天" * 29 + "…"),
        ("Übermorgen fahre ich nach Zürich", "Übermorgen fahre ich nach Zürich"),
    ],
)
def test_a_title_is_the_first_sentence_without_markup(message: str, title: str) -> None:
    assert title_of(message) == title


@given(st.text(max_size=300) | st.text("*_`~[]()#> \nab.", max_size=300))
def test_a_title_is_one_short_printable_line(message: str) -> None:
    title = title_of(message)
    assert title.isprintable()
    assert title == title.strip() != ""
    wide = sum(unicodedata.east_asian_width(char) in "WF" and not unicodedata.combining(char) for char in title)
    assert sum(not unicodedata.combining(char) for char in title) + wide <= MAX_TITLE
    assert len(title) <= 2 * MAX_TITLE
