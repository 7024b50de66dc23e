from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.text.valid import SurrogateJoiner, read_json, valid_text, valid_value

ANY_TEXT = st.text(alphabet=st.characters(codec=None), max_size=20)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("plain", "plain"),
        ("Grüße 😀", "Grüße 😀"),
        ("\ud83d\ude00", "😀"),
        ("\ud83d.txt", "\ufffd.txt"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("a\ud83d\ud83d\ude00b", "a\ufffd😀b"),
    ],
)
def test_pairs_are_joined_and_lone_halves_replaced(text: str, valid: str) -> None:
    assert valid_text(text) == valid


@given(ANY_TEXT)
def test_any_text_can_be_encoded_afterwards(text: str) -> None:
    made = valid_text(text)
    made.encode()
    assert valid_text(made) == made


@given(ANY_TEXT, st.lists(st.integers(0, 20)))
def test_deltas_give_what_the_whole_text_gives(text: str, cuts: list[int]) -> None:
    joiner, edges = SurrogateJoiner(), [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    said = [joiner.feed(text[start:end]) for start, end in itertools.pairwise(edges)]
    assert "".join(said) + joiner.end() == valid_text(text)


def test_valid_value_reaches_keys_and_nested_strings() -> None:
    assert valid_value({"\ud83d": ["\ude00", {"x": 1, "y": None}]}) == {"\ufffd": ["\ufffd", {"x": 1, "y": None}]}


def test_read_json_joins_what_escapes_cut() -> None:
    assert read_json('{"path": "\\ud83d\\ude00 \\ud83d.txt"}') == {"path": "😀 \ufffd.txt"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[NaN]", "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ("[1e999]", "a number is too large"),
        ("[9223372036854775808]", "an integer does not fit 64 bits"),
        ("[" * 500 + "]" * 500, "nested deeper than 64"),
        ('{"a": 1, "a": 2}', "an object has the same key twice"),
        ("{", "Expecting property name enclosed in double quotes at character 1"),
    ],
)
def test_read_json_keeps_the_rules_of_the_wire(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="^" + reason.replace("(", r"\(")):
        read_json(text)


@given(st.recursive(st.none() | st.booleans() | ANY_TEXT, lambda inner: st.lists(inner, max_size=3)))
def test_read_json_gives_what_can_be_sent_again(value: Any) -> None:
    json.dumps(read_json(json.dumps(value)), ensure_ascii=False).encode()
