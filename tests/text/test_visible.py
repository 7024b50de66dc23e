"""Visible text: nothing that a terminal acts on is left as it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.text.visible import visible, visible_json, visible_line


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J", "\\x9b2J"),
        ("ls\rrm", "ls\\x0drm"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2066b\u2069", "a\\u2066b\\u2069"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("a\u2028b", "a\\u2028b"),
        ("a\xa0b", "a\\xa0b"),
        ("\U000e0041", "\\U000e0041"),
        ("\x7f\x00", "\\x7f\\x00"),
        ("plain text, übung, 日本\n\tindented", "plain text, übung, 日本\n\tindented"),
    ],
)
def test_escapes_are_seen(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_an_escape_and_its_spelling_look_different() -> None:
    assert visible("\x1b") != visible("\\x1b")


def test_a_line_has_no_line_ends() -> None:
    assert visible_line("a\nb\tc") == "a\\nb\\tc"


@given(st.text())
def test_whatever_the_text_all_of_it_is_printable(text: str) -> None:
    assert all(one.isprintable() or one in "\n\t" for one in visible(text))
    assert visible_line(text).isprintable()


@given(st.text(), st.text())
def test_different_texts_look_different(one: str, other: str) -> None:
    assert (visible(one) == visible(other)) == (one == other)


@given(st.dictionaries(st.text(alphabet=st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])), st.text()))
def test_arguments_stay_exact_json(arguments: dict[str, str]) -> None:
    shown = visible_json(arguments)
    assert shown.isprintable()
    assert json.loads(shown.replace("\\U", "\\\\U").replace("\\x", "\\u00")) is not None
