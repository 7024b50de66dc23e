"""Schemas as strangers write them: each becomes one that can be checked by, shown and stored, or is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from agentgw.transport.framing import read_value
from agentgw_daemon.tools.declared import DeclarationRefused
from agentgw_daemon.tools.parameters import (
    MAX_SCHEMA_BYTES,
    MAX_SCHEMA_NODES,
    checked_parameters,
    nested_deeper,
    weight,
)
from tests.tools.tool_schemas import SCHEMAS


def refused(schema: object) -> str:
    with pytest.raises(DeclarationRefused) as caught:
        checked_parameters(schema)
    return str(caught.value)


def part(schema: object, **more: Any) -> Any:
    """The part that a property's schema becomes."""
    return checked_parameters({"type": "object", "properties": {"x": schema}, **more})["properties"]["x"]


@given(SCHEMAS)
def test_any_json_is_refused_or_becomes_a_schema_that_can_be_used(value: dict[str, Any]) -> None:
    try:
        made = checked_parameters(value)
    except DeclarationRefused:
        return
    assert made["type"] == "object"
    Draft202012Validator.check_schema(made)
    list(Draft202012Validator(made).iter_errors({"x": [1, {"x": None}]}))
    assert read_value(json.dumps(made), max_depth=50) == made, "it goes over the wire and into the database"
    assert set(made.get("required", ())) <= set(made["properties"])
    assert checked_parameters(made) == made


@pytest.mark.parametrize("schema", [None, [], "x", True, {"type": "array"}, {"type": ["string", "null"]}])
def test_only_objects_are_parameters(schema: object) -> None:
    assert refused(schema) == "its parameters are not the schema of an object"


@pytest.mark.parametrize("schema", [{}, {"type": ["object", "null"]}, {"type": "OBJECT"}, {"type": "text"}])
def test_an_object_that_does_not_quite_say_so(schema: object) -> None:
    assert checked_parameters(schema) == {"type": "object", "properties": {}}


def test_bounds_of_a_schema() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"items": deep}
    assert "deeper than" in refused({"type": "object", "properties": {"x": deep}})
    assert "larger than" in refused({"type": "object", "title": "x" * MAX_SCHEMA_BYTES})
    assert refused({"type": "object", "default": float("nan")}) == "its schema is not JSON"


def test_a_schema_that_grows_with_every_reference_is_refused() -> None:
    parts = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 8} for n in range(40)} | {"d40": {}}
    said = refused({"type": "object", "properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": parts})
    assert str(MAX_SCHEMA_NODES) in said


@pytest.mark.parametrize(
    "told_often", [{"description": "y" * 900}, {"enum": ["y" * 900]}, {"default": "y" * 900}, {"required": ["y" * 900]}]
)
def test_a_schema_that_says_the_same_a_thousand_times_is_refused(told_often: Any) -> None:
    properties = {f"p{n}": {"$ref": "#/$defs/d"} for n in range(1000)}
    assert "written out, is larger" in refused({"properties": properties, "$defs": {"d": told_often}})


def test_a_chain_of_references_ends_in_anything() -> None:
    chain = {f"{n}": {"properties": {"x": {"$ref": f"#/$defs/{n + 1}"}}} for n in range(500)}
    made = checked_parameters({"$ref": "#/$defs/0", "$defs": chain})
    assert not nested_deeper(made, 50)


def test_references_are_written_out_and_one_that_comes_back_allows_anything() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node", "description": "a\nnode"}}}
    made = checked_parameters(
        {"type": "object", "properties": {"n": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}}
    )
    inner = {"type": "object", "properties": {"next": {"description": "a node"}}}
    assert made == {"type": "object", "properties": {"n": inner}}


def test_the_whole_schema_may_be_a_reference() -> None:
    asked = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    assert checked_parameters({"$ref": "#/definitions/Args", "definitions": {"Args": asked}}) == asked
    assert checked_parameters({"$ref": "#/$defs/A~1B%20C", "$defs": {"A/B C": asked}}) == asked
    assert checked_parameters({"$ref": "#args", "$defs": {"x": {"$anchor": "args", **asked}}}) == asked
    assert checked_parameters({"$ref": "#/x/1", "x": [0, asked]}) == asked
    assert checked_parameters({**asked, "$ref": "#"}) == asked


@pytest.mark.parametrize("reference", ["http://localhost/x", "#/$defs/none", "#none", "#/properties/x", 7])
def test_a_reference_to_what_is_not_there_allows_anything(reference: object) -> None:
    assert part({"$ref": reference, "description": "d"}) == {"description": "d"}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": True}, {"type": "integer", "exclusiveMinimum": 0}),
        ({"maximum": 9, "exclusiveMaximum": True}, {"exclusiveMaximum": 9}),
        ({"maximum": 9, "exclusiveMaximum": False}, {"maximum": 9}),
        ({"exclusiveMinimum": True}, {}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"enum": ["a"], "nullable": True}, {"enum": ["a", None]}),
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": ["int", "str"]}, {"type": ["integer", "string"]}),
        ({"type": "text"}, {}),
        ({"type": ["string", "file"]}, {}),
        ({"items": [{"type": "string"}, True], "additionalItems": False}, {"prefixItems": [{"type": "string"}, {}]}),
        ({"items": [{}], "additionalItems": {"type": "null"}}, {"prefixItems": [{}], "items": {"type": "null"}}),
        ({"minimum": "0", "maxLength": -1, "multipleOf": 0, "enum": [], "anyOf": {}, "required": "x"}, {}),
        ({"minimum": 0, "maximum": 18446744073709551615}, {"minimum": 0, "maximum": 18446744073709551615.0}),
        ({"enum": [18446744073709551615], "default": None}, {"default": None}),
        ({"uniqueItems": True, "format": "regex", "x-note": "!"}, {}),
        (True, {}),
        (7, {}),
    ],
)
def test_words_of_older_drafts_and_half_wrong_ones(written: object, read: object) -> None:
    assert part(written) == read


def test_what_is_required_is_there() -> None:
    made = checked_parameters({"required": ["x", "y", 7, "a\x1b"], "properties": {"x": {"type": "string"}}})
    assert made["properties"] == {"x": {"type": "string"}, "y": {}}
    assert made["required"] == ["x", "y"]
    closed = {"required": ["x", "y"], "properties": {"x": {}}, "additionalProperties": False}
    assert checked_parameters(closed)["required"] == ["x"], "what nobody may give cannot be asked for"
    third = checked_parameters({"properties": {"x": {"type": "string", "required": True}, "y": {"required": False}}})
    assert third["required"] == ["x"]


def test_an_intersection_of_objects_is_one() -> None:
    one = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
    made = checked_parameters({"allOf": [{"$ref": "#/$defs/one"}, {"properties": {"b": {}}}], "$defs": {"one": one}})
    assert made == {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]}
    other = {"allOf": [{"anyOf": [one, {}]}]}
    assert checked_parameters(other)["allOf"] == [{"anyOf": [one, {}]}]


def test_names_of_properties_are_words() -> None:
    assert "no word" in refused({"type": "object", "properties": {"a\x1b": {}}})
    assert checked_parameters({"properties": {"城市": {}}})["properties"] == {"城市": {}}


def test_expressions_go_and_properties_of_their_names_stay() -> None:
    properties = {
        "pattern": {"type": "string", "pattern": "(a+)+$", "description": "a\tb", "default": "\x07"},
        "$defs": {"enum": ["\x1b"]},
    }
    made = checked_parameters({"type": "object", "properties": properties, "patternProperties": {"(a+)+": {}}})
    wanted = {"pattern": {"type": "string", "description": "a b", "default": "\x07"}, "$defs": {"enum": ["\x1b"]}}
    assert made == {"type": "object", "properties": wanted}


def test_halves_of_characters_are_replaced() -> None:
    assert part({"enum": ["\ud83d"], "description": "\ude00"}) == {"enum": ["\ufffd"], "description": "\ufffd"}


def test_the_weight_of_a_schema_counts_its_parts() -> None:
    assert weight({"type": "object", "properties": {"x": {"enum": [1, 2, 3]}}}) > weight({"type": "object"})
