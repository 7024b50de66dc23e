"""The form that a model's call is written in: whatever a tool's schema says, there is a grammar for it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from agentgw.protocol.calls.turns import OfferedTool
from agentgw_daemon.inference.structured_output.compiler import grammar_of
from agentgw_daemon.tool_calling.schemas import call_schema, step_schema, writable
from agentgw_daemon.tools.builtin import BUILTIN
from agentgw_daemon.tools.declared import DeclarationRefused
from agentgw_daemon.tools.parameters import checked_parameters
from tests.tools.tool_schemas import SCHEMAS


def view(parameters: Any) -> OfferedTool:
    return OfferedTool(name="t", description="", parameters=parameters)


@given(SCHEMAS)
def test_there_is_a_grammar_for_every_schema_that_a_tool_may_have(written: dict[str, Any]) -> None:
    try:
        parameters = checked_parameters(written)
    except DeclarationRefused:
        return
    assert grammar_of(step_schema([view(parameters)]))
    assert grammar_of(call_schema(view(parameters), request="read a.txt and http://example.com/x"))


@pytest.mark.parametrize(
    ("schema", "kept"),
    [
        ({"type": "string", "minLength": 1, "format": "uri"}, {"type": "string", "minLength": 1}),
        ({"type": "string", "enum": ["a"]}, {"enum": ["a"]}),
        ({"const": 1, "type": "string"}, {"enum": [1]}),
        ({"type": "integer", "minimum": 5, "maximum": 1}, {"type": "integer"}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"oneOf": [{"type": "object"}, {"type": "object"}]}, {}),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, {}),
        ({"allOf": [{"type": "string"}]}, {"type": "string"}),
        ({"allOf": [{"type": "string"}, {"minLength": 1}]}, {}),
        ({"type": "array", "prefixItems": [{}], "contains": {}}, {"type": "array"}),
        ({"not": {}, "if": {}, "minimum": 3}, {}),
        ({"type": "object", "additionalProperties": {"type": "string"}},
         {"type": "object", "additionalProperties": {"type": "string"}}),
        ({"properties": {"a": {"type": "string"}}, "required": ["a", "b"]},
         {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}),
        (True, {}),
    ],
)  # fmt: skip
def test_what_a_grammar_keeps_of_a_schema(schema: object, kept: object) -> None:
    assert writable(schema) == kept


def test_our_own_tools_lose_nothing() -> None:
    for tool in BUILTIN:
        made = call_schema(view(tool.spec.parameters))["properties"]["arguments"]
        plain = _plain(tool.spec.parameters)
        assert made == plain, tool.spec.name


def _plain(schema: Any) -> Any:
    """The schema without what only people read, and without the type beside values that have it."""
    if not isinstance(schema, dict):
        return schema
    if "enum" in schema:
        return {"enum": schema["enum"]}
    made = {key: one for key, one in schema.items() if key not in ("description", "default", "format", "examples")}
    if "properties" in made:
        made["properties"] = {name: _plain(one) for name, one in made["properties"].items()}
        made["required"] = made.get("required", [])
    return {**made, "items": _plain(made["items"])} if "items" in made else made
