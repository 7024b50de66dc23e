"""JSON Schemas of what a model without a tool format of its own may write: one call, or that it answers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentgw_daemon.calling.relevance import addresses, files, words
from agentgw_daemon.calling.view import ToolView

ANSWER: Final = "answer"
# What arguments hold, told by their schema's format, else by the last word of their name.
_ADDRESS_NAMES: Final = frozenset(("url", "uri"))
# Of twelve words there are 78 runs, which are as many branches of the grammar.
_MOST_WORDS: Final = 12
# A schema with anything else has its own idea of what is allowed.
_FREE: Final = frozenset(("type", "description", "title", "format", "default", "examples", "minLength", "maxLength"))
_FILE_NAMES: Final = frozenset(("path", "file", "filename", "folder", "directory", "database"))


def call_schema(tool: ToolView, *, request: str | None = None) -> dict[str, Any]:
    """`{"tool": NAME, "arguments": {…}}`.

    With `request`, addresses and file names can only be those that it names, if it names any: a model too weak to copy
    them cannot invent others.
    """
    parameters = dict(tool.parameters) if request is None else _grounded(tool.parameters, request)
    return _object({"tool": {"const": tool.name}, "arguments": parameters})


def step_schema(tools: Sequence[ToolView]) -> dict[str, Any]:
    """One call of any of these tools, or `{"tool": "answer"}`."""
    return {"anyOf": [*map(call_schema, tools), _object({"tool": {"const": ANSWER}})]}


def can_serve(tool: ToolView, request: str) -> bool:
    """Whether the request names the addresses and files that the tool cannot do without."""
    properties = tool.parameters.get("properties", {})
    return all(_named(name, properties.get(name), request) != [] for name in tool.parameters.get("required", ()))


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _grounded(parameters: Mapping[str, Any], request: str) -> dict[str, Any]:
    made = dict(parameters)
    if "properties" in parameters:
        made["properties"] = {
            name: _grounded_argument(name, schema, request) for name, schema in parameters["properties"].items()
        }
    return made


def _grounded_argument(name: str, schema: object, request: str) -> object:
    if found := _named(name, schema, request):
        return {"type": "string", "enum": found}
    if isinstance(schema, Mapping) and schema.get("type") == "array" and schema.get("items") == {"type": "string"}:
        # A command and its arguments, most likely: words that follow each other.
        said = words(request)[-_MOST_WORDS:]
        runs = [said[start:end] for start, end in itertools.combinations(range(len(said) + 1), 2)]
        return {"enum": runs} if runs else schema
    return schema


def _named(name: str, schema: object, request: str) -> list[str] | None:
    """What the request names of the kind that this argument takes; None if it takes something else."""
    if not isinstance(schema, Mapping) or schema.get("type") != "string" or not schema.keys() <= _FREE:
        return None
    word = name.lower().rpartition("_")[2]
    if word in _ADDRESS_NAMES or schema.get("format") == "uri":
        return addresses(request)
    return files(request) if word in _FILE_NAMES else None
