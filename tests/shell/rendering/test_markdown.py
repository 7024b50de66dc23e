from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentgw_shell.rendering.cells import width
from agentgw_shell.rendering.inline import MOST_HELD
from agentgw_shell.rendering.markdown import MarkdownStream, rendered
from agentgw_shell.rendering.spans import BOLD, CODE, ITALIC, Line, plain_text
from tests.shell.rendering.answers import MIXED

_BITS = (
    "word", " ", "\n", "\n\n", "**", "*", "_", "`", "```", "```py\n", "~~", "- ", "  - ", "1. ", "> ", "# ", "|",
    "| a | b |\n", "|---|---|\n", "---\n", "[a](b)", "[", "<", "\\", "&amp;", "&#x202e;", "日本語", "、", "👨‍👩‍👧",
    "שלום", "\t", "\r", "\r\n", "\x1b[2J", "/*", '"""', "x" * 60,
)  # fmt: skip
SOURCE = st.lists(st.sampled_from(_BITS) | st.characters(exclude_categories=("Cs",)), max_size=60).map("".join)


def texts(lines: list[Line]) -> list[str]:
    return [plain_text(line) for line in lines]


@settings(max_examples=150, deadline=None)
@example(text="word\t`a\tb`", cuts=[1], columns=20)
@given(text=SOURCE, cuts=st.lists(st.integers(1, 9), min_size=1, max_size=5), columns=st.sampled_from((20, 79)))
def test_what_is_finished_does_not_depend_on_how_the_text_came(text: str, cuts: list[int], columns: int) -> None:
    stream, lines, place = MarkdownStream(columns), [], 0
    while place < len(text):
        size = cuts[place % len(cuts)]
        lines += stream.feed(text[place : place + size])
        stream.tail()
        place += size
    assert [*lines, *stream.end()] == rendered(text, columns)


@settings(max_examples=150, deadline=None)
@given(text=SOURCE, columns=st.sampled_from((20, 79)))
def test_no_line_is_wider_than_asked_and_none_moves_the_cursor(text: str, columns: int) -> None:
    for line in rendered(text, columns):
        shown = plain_text(line)
        assert width(shown) <= columns or width(shown[2:]) <= 16, "only what cannot be cut is wider"
        assert not any(ord(one) < 32 or 0x7F <= ord(one) < 0xA0 or one in "\u202e\u2028" for one in shown)


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.sampled_from("abc de\n日本"), max_size=200))
def test_words_without_marks_are_all_there(text: str) -> None:
    assert "".join("".join(texts(rendered(text, 20))).split()) == "".join(text.split())


def test_marks_become_styles() -> None:
    (line,) = rendered("plain **bold** *it* `code`", 79)
    assert line == (("", "plain "), (BOLD, "bold"), ("", " "), (ITALIC, "it"), ("", " "), (CODE, "code"))


@pytest.mark.parametrize("text", ["2 * 3 * 4", "snake_case_name", "a < b", "~5 and ~6", "[1] and [2]", "**open"])
def test_marks_that_mark_nothing_are_text(text: str) -> None:
    assert texts(rendered(text, 79)) == [text]


def test_a_lone_mark_holds_nothing_back_for_long() -> None:
    stream = MarkdownStream(79)
    lines = stream.feed("*lone " + "word " * 200)
    assert len(" ".join(texts(lines))) > 1000 - MOST_HELD - 79


def test_a_link_shows_where_it_leads() -> None:
    assert texts(rendered("[a bank](http://evil.example)", 79)) == ["a bank (http://evil.example)"]
    assert texts(rendered("<http://a.example>", 79)) == ["http://a.example"]


def test_entities_bring_no_characters_that_turn_text_around() -> None:
    assert texts(rendered("a &#x202e; b &amp; c", 79)) == ["a \\u202e b & c"]


def test_lists_are_indented_and_numbered_as_they_are_written() -> None:
    text = "1. one\n   - deep\n2. two\n\n   more\n\nafter"
    assert texts(rendered(text, 79)) == ["1. one", "   • deep", "2. two", "", "   more", "", "after"]


def test_line_ends_are_kept() -> None:
    assert texts(rendered("roses are red\nviolets are blue", 79)) == ["roses are red", "violets are blue"]


def test_code_keeps_its_blanks_and_is_cut_not_wrapped() -> None:
    lines = rendered("```py\nif  x:\n    return '" + "y" * 30 + "'\n```\nend", 20)
    assert texts(lines)[0] == "  if  x:"
    assert "".join(text[2:] for text in texts(lines)[1:-1]) == "    return '" + "y" * 30 + "'"
    assert texts(lines)[-1] == "end"


def test_a_table_of_many_rows_is_given_while_it_comes() -> None:
    stream = MarkdownStream(40)
    lines = stream.feed("| a | b |\n|---|--:|\n" + "| x | 1 |\n" * 50)
    assert len(lines) == 52
    assert texts(lines)[:3] == ["a   │   b", "────┼────", "x   │   1"]


def test_a_table_of_more_columns_than_fit_is_a_list_of_its_cells() -> None:
    names = "abcdefghij"
    text = f"| {' | '.join(names)} |\n|{'---|' * 10}\n| {' | '.join(names.upper())} |\n"
    assert texts(rendered(text, 40))[1:] == [f"{name}: {name.upper()}" for name in names]
    assert len(texts(rendered(text, 79))) == 3


@pytest.mark.parametrize("columns", [39, 79])
def test_the_tail_never_shows_what_is_not_in_the_answer(columns: int) -> None:
    stream, letters = MarkdownStream(columns), 0
    for one in MIXED:
        letters += one.isalnum()
        stream.feed(one)
        shown = sum(character.isalnum() for line in stream.tail() for character in plain_text(line))
        assert shown <= letters + 10
