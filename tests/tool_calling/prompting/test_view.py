from __future__ import annotations

from typing import Any

import pytest

from agentgw.protocol.calls.turns import OfferedTool
from agentgw_daemon.tool_calling.prompting.few_shot import view
from agentgw_daemon.tool_calling.prompting.view import declaration, signature


def tool(properties: dict[str, Any], *required: str, description: str = "") -> OfferedTool:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return OfferedTool(name="f", description=description, parameters=schema)


def test_a_signature_is_one_line() -> None:
    properties = {"path": {"type": "string"}, "start_line": {"type": "integer", "minimum": 1}}
    made = tool(properties, "path", description="Read a text file. Long files are cut.\nMore.")
    assert signature(made) == "f(path: str, start_line?: int): Read a text file"


SCHEMAS: list[tuple[Any, str]] = [
    ({"type": "array", "items": {"type": "string"}}, "list[str]"),
    ({"enum": ["a", 1]}, "'a'|1"),
    ({"enum": list(range(99)), "type": "integer"}, "int"),
    ({"const": True}, "True"),
    ({"type": ["string", "null"]}, "str|null"),
    ({"anyOf": [{"type": "number"}, {"type": "boolean"}, {"type": "number"}]}, "float|bool"),
    ({"type": "object", "properties": {"x": {"type": "number"}}}, "{x: float}"),
    ({"type": "object"}, "object"),
    ({}, "any"),
    (True, "any"),
    ({"type": "array"}, "list[any]"),
]


@pytest.mark.parametrize(("schema", "shown"), SCHEMAS)
def test_how_types_are_shown(schema: Any, shown: str) -> None:
    assert signature(tool({"x": schema}, "x")) == f"f(x: {shown})"


def test_a_schema_that_nests_for_ever_ends_somewhere() -> None:
    schema: dict[str, Any] = {"type": "array"}
    schema["items"] = schema
    assert len(signature(tool({"x": schema}, "x"))) < 80


def test_a_long_description_is_bounded() -> None:
    assert len(signature(tool({}, description="word " * 99))) < 140


def test_the_declaration_is_openais() -> None:
    made = tool({"x": {"type": "string"}}, "x", description="Does f")
    assert declaration(made) == {
        "type": "function",
        "function": {"name": "f", "description": "Does f", "parameters": made.parameters},
    }


def test_built_in_tools_come_with_examples_and_others_without() -> None:
    assert view("read_file", "Read a file", {"type": "object"}).examples
    assert view("weather", "Tell the weather", {"type": "object"}).examples == ()
