from __future__ import annotations

import pytest

from agentgw.cli.cells import cut, ljust, rjust, width, wrapped


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("", 0),
        ("abc", 3),
        ("é", 1),
        ("e\u0301", 1),
        ("报销", 4),
        ("ｶﾅ", 2),
        ("カナ", 4),
        ("a报b", 4),
        ("🙂", 2),
        ("한글", 4),
    ],
)
def test_width_is_counted_in_cells(text: str, cells: int) -> None:
    assert width(text) == cells
    assert width(ljust(text, 9)) == width(rjust(text, 9)) == 9


@pytest.mark.parametrize(
    ("text", "cells", "expected"),
    [
        ("one two", 7, "one two"),
        ("one two", 6, "one…"),
        ("one two", 4, "one…"),
        ("one two", 3, "on…"),
        ("onetwo", 4, "one…"),
        # The gap between columns: the word behind it is the whole column.
        ("a   longer", 8, "a   lon…"),
        ("a " + "x" * 40, 30, "a " + "x" * 27 + "…"),
        ("报销报销", 8, "报销报销"),
        ("报销报销", 7, "报销报…"),
        ("报销报销", 6, "报销…"),
        ("a", 0, "…"),
    ],
)
def test_a_line_is_cut_between_words_where_one_is_near(text: str, cells: int, expected: str) -> None:
    assert cut(text, cells) == expected


def test_words_are_wrapped_by_cells() -> None:
    assert list(wrapped("one two three", 7)) == ["one two", "three"]
    assert list(wrapped("  one\n two ", 3)) == ["one", "two"]
    assert list(wrapped("报销 报销", 5)) == ["报销", "报销"]
    assert list(wrapped("abcdefgh i", 3)) == ["abc", "def", "gh", "i"]
    assert list(wrapped("", 3)) == []
    # Nothing fits: one character a line, and an end.
    assert list(wrapped("报销", 1)) == ["报销"]
