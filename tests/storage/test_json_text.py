"""JSON in columns: written valid, read strictly to go on with, repaired to be shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.storage.json_text import BAD, UNREADABLE, arguments_of, from_text, read_or, repaired, to_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)  # fmt: skip


@given(VALUES)
def test_what_is_written_is_read_again(value: Any) -> None:
    text = to_text(value)
    text.encode()
    assert from_text(text) == repaired(text) == value


def test_what_is_written_can_be_stored() -> None:
    assert to_text({"a\ud83d": "\ud83d\ude00"}) == '{"a\ufffd":"😀"}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_text([float("nan")])


@pytest.mark.parametrize("text", ["", "{", "[NaN]", "[1e999]", "9" * 30, "[" * 100 + "]" * 100, '{"a":1,"a":2}', None])
def test_what_is_gone_on_with_is_read_strictly(text: Any) -> None:
    with pytest.raises(BAD):
        from_text(text)
    assert read_or("default", lambda: from_text(text)) == "default"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"params": [NaN, Infinity, 1e999, 1]}', {"params": [None, None, None, 1]}),
        ('{"n": 123456789012345678901}', {"n": "123456789012345678901"}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('{"path": "\\ud83d.txt"}', {"path": "\ufffd.txt"}),
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
        ("[1]", {UNREADABLE: "[1]"}),
        ("{" * 500, {UNREADABLE: "{" * 200}),
        ("[" * 100_000, {UNREADABLE: "[" * 200}),
        (None, {UNREADABLE: ""}),
    ],
)
def test_bad_arguments_are_shown_as_far_as_they_can_be_read(text: Any, shown: dict[str, Any]) -> None:
    assert arguments_of(text) == shown


@given(st.text(alphabet='{}[]":,NaInfity0123456789e-+\\ud83 "', max_size=60))
def test_whatever_is_stored_can_be_sent(text: str) -> None:
    json.dumps(arguments_of(text), ensure_ascii=False, allow_nan=False).encode()


def test_what_nests_too_deeply_is_cut() -> None:
    shown = arguments_of('{"a":' * 300 + "1" + "}" * 300)
    assert UNREADABLE in json.dumps(shown)
    assert json.dumps(shown).count("{") == 64
