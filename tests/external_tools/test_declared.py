"""What strangers say about their tools, made fit to be shown."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agentgw_daemon.tools.declared import (
    MAX_DESCRIPTION,
    MAX_SCHEMA_BYTES,
    MAX_SCHEMA_NODES,
    DeclarationRefused,
    checked_effect,
    checked_name,
    checked_parameters,
    fit_name,
    plain_text,
    preview,
)


def refused(schema: object) -> str:
    with pytest.raises(DeclarationRefused) as caught:
        checked_parameters(schema)
    return str(caught.value)


@given(st.text())
def test_every_text_becomes_a_name(text: str) -> None:
    assert re.fullmatch("[a-z0-9_]{1,64}", fit_name(text))
    assert checked_name(fit_name(text)) == fit_name(text)


def test_long_names_stay_apart() -> None:
    one, other = fit_name("x" * 100 + "1"), fit_name("x" * 100 + "2")
    assert one != other
    assert len(one) == len(other) == 64
    assert fit_name("My-Server__read.File") == "my_server__read_file"


@given(st.text(max_size=50), st.integers(1, 30))
def test_plain_text_is_one_bounded_printable_line(text: str, most: int) -> None:
    made = plain_text(text, most)
    assert len(made) <= most
    assert made.isprintable()


def test_plain_text_keeps_what_can_be_read() -> None:
    assert plain_text("Reads\n\ta \x1b[31mfile\u202e ü 猫\u200b.") == "Reads a [31mfile ü 猫 ."
    assert plain_text("x" * 5000) == "x" * (MAX_DESCRIPTION - 1) + "…"
    assert plain_text({"no": "text"}) == ""


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "properties", "required", "items", "$ref", "anyOf", "enum", "$defs", "x"]), inner,
        max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["properties", "required", "items", "$ref", "anyOf", "$defs"]), _JSON))
def test_any_json_is_refused_or_becomes_a_schema_that_can_be_used(value: dict[str, Any]) -> None:
    try:
        made = checked_parameters({"type": "object", **value})
    except DeclarationRefused:
        return
    Draft202012Validator.check_schema(made)
    list(Draft202012Validator(made).iter_errors({"x": [1, {"x": None}]}))


@pytest.mark.parametrize("schema", [None, [], "x", {}, {"type": "array"}, {"type": ["object"]}])
def test_only_objects_are_parameters(schema: object) -> None:
    assert refused(schema) == "its parameters are not the schema of an object"


def test_bounds_of_a_schema() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"items": deep}
    assert "deeper than" in refused({"type": "object", "properties": {"x": deep}})
    assert "larger than" in refused({"type": "object", "title": "x" * MAX_SCHEMA_BYTES})
    assert refused({"type": "object", "default": float("nan")}) == "its schema is not JSON"


def test_a_schema_that_doubles_with_every_reference_is_refused() -> None:
    parts = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": {}}
    said = refused({"type": "object", "properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": parts})
    assert str(MAX_SCHEMA_NODES) in said


def test_references_are_written_out_and_one_that_comes_back_allows_anything() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node", "description": "a\nnode"}}}
    made = checked_parameters(
        {"type": "object", "properties": {"n": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}}
    )
    inner = {"type": "object", "properties": {"next": {"description": "a node"}}}
    assert made == {"type": "object", "properties": {"n": inner}}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"$ref": "http://localhost/x"}, "another document"),
        ({"$ref": 7}, "another document"),
        ({"$ref": "#/$defs/none"}, "a part that it does not have"),
        ({"type": "text"}, "its schema is wrong"),
        (7, "its schema's properties are not schemas"),
    ],
)
def test_parts_that_cannot_be_used(part: object, said: str) -> None:
    assert said in refused({"type": "object", "properties": {"x": part}})


def test_names_of_properties_are_words() -> None:
    assert "no word" in refused({"type": "object", "properties": {"a\x1b": {}}})
    assert "does not have" in refused({"type": "object", "required": ["x"]})


def test_expressions_go_and_properties_of_their_names_stay() -> None:
    properties = {
        "pattern": {"type": "string", "pattern": "(a+)+$", "description": "a\tb", "default": "\x07"},
        "$defs": {"enum": ["\x1b"]},
    }
    made = checked_parameters({"type": "object", "properties": properties, "patternProperties": {"(a+)+": {}}})
    wanted = {"pattern": {"type": "string", "description": "a b", "default": "\x07"}, "$defs": {"enum": ["\x1b"]}}
    assert made == {"type": "object", "properties": wanted}


def test_effects() -> None:
    assert checked_effect(None, "command") == "command"
    assert checked_effect("read", "command") == "read"
    with pytest.raises(DeclarationRefused, match="must be one of none, read, write, command, network"):
        checked_effect(["read"], "command")


def test_a_preview_shows_what_cannot_be_seen() -> None:
    made = preview("x\x1b[2J", {"a": "\u202e\r"})
    assert made.title == "x\\x1b[2J"
    assert json.loads(made.details[0].removeprefix("arguments: ")) == {"a": "\u202e\r"}
    assert made.details[0].isprintable()
