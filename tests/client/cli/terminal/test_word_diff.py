from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw.cli.terminal.word_diff import marked, pieces


def shown(before: str, after: str) -> str:
    return "".join(marked(change, text) for change, text in pieces(before, after))


@given(st.text("ab \n"), st.text("ab \n"))
def test_the_pieces_make_up_both_texts(before: str, after: str) -> None:
    found = list(pieces(before, after))
    assert "".join(text for change, text in found if change != "new") == before
    assert "".join(text for change, text in found if change != "gone") == after


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ("a b c", "a b c", "a b c"),
        ("a b c", "a x c", "a [-b-]{+x+} c"),
        ("a b c", "a c", "a [-b -]c"),
        ("one two", "three four", "[-one two-]{+three four+}"),
        ("", "a", "{+a+}"),
    ],
)
def test_changes_are_marked_word_by_word(before: str, after: str, wanted: str) -> None:
    assert shown(before, after) == wanted


def test_long_texts_are_compared_line_by_line() -> None:
    same = "".join(f"line {number} of many\n" for number in range(3000))
    assert shown(f"{same}a b\n", f"{same}a c\n") == f"{same}[-a b\n-]{{+a c\n+}}"
