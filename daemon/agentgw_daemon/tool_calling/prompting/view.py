"""Views of one tool, in the forms that models read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agentgw.protocol.calls.turns import OfferedTool
from agentgw.protocol.records.schema import record

# Number of times that a schema may refer to another or nest before a signature says just "any" or "object".
_MAX_DEPTH: Final = 3
# More alternatives than these tell a small model less, not more.
_MAX_CHOICES: Final = 8
_MAX_DESCRIPTION_CHARACTERS: Final = 120
_TYPES: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "null"}


@record
class Example:
    """A request and the arguments that serve it: what weak models learn from most."""

    request: str
    arguments: Mapping[str, Any]


@record
class ToolView(OfferedTool):
    """A tool as a weak model is led to it.

    `keywords` are words that requests for it hold and that its name and description lack; `.db` is a file's extension.
    """

    examples: tuple[Example, ...] = ()
    keywords: tuple[str, ...] = ()


def declaration(tool: OfferedTool) -> dict[str, Any]:
    """The form that chat templates and OpenAI-compatible endpoints take."""
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def signature(tool: OfferedTool) -> str:
    """One line: `read_file(path: str, start_line?: int): Read a text file`."""
    properties = tool.parameters.get("properties", {})
    required = tool.parameters.get("required", ())
    arguments = [f"{name}{'' if name in required else '?'}: {_type(schema)}" for name, schema in properties.items()]
    made = f"{tool.name}({', '.join(arguments)})"
    said = first_line(tool.description)
    return f"{made}: {said}" if said else made


def first_line(description: str) -> str:
    """The first sentence or line of a description, bounded and without its full stop."""
    line = description.strip().partition("\n")[0].partition(". ")[0].rstrip(" .")
    return line if len(line) <= _MAX_DESCRIPTION_CHARACTERS else line[:_MAX_DESCRIPTION_CHARACTERS].rstrip() + "…"


def _type(schema: object, depth: int = 0) -> str:
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return "any"
    if "const" in schema:
        return repr(schema["const"])
    choices = schema.get("enum")
    if isinstance(choices, list | tuple) and 0 < len(choices) <= _MAX_CHOICES:
        return "|".join(map(repr, choices))
    kinds = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(kinds, list | tuple) and kinds:
        return "|".join(dict.fromkeys(_type(kind, depth + 1) for kind in kinds))
    kind = schema.get("type")
    if isinstance(kind, list | tuple):
        return "|".join(dict.fromkeys(_TYPES.get(str(one), str(one)) for one in kind))
    if kind == "array":
        return f"list[{_type(schema.get('items'), depth + 1)}]"
    if kind == "object" and depth < _MAX_DEPTH and schema.get("properties"):
        inner = ", ".join(f"{name}: {_type(value, depth + 1)}" for name, value in schema["properties"].items())
        return f"{{{inner}}}"
    return _TYPES.get(str(kind), str(kind) if kind else "any")
