"""JSON Schemas of what a model without a tool format of its own may write: one call, or that it answers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentgw.protocol.calls.turns import OfferedTool
from agentgw_daemon.tool_calling.choosing.relevance import addresses, files, words

ANSWER: Final = "answer"
# Content of arguments, told by their schema's format, else by the last word of their name.
_ADDRESS_NAMES: Final = frozenset(("url", "uri"))
# Of twelve words there are 78 runs, which are as many branches of the grammar.
_MOST_WORDS: Final = 12
# A schema with anything else has its own idea of what is allowed.
_FREE: Final = frozenset(("type", "description", "title", "format", "default", "examples", "minLength", "maxLength"))
# Of schemas in schemas, values and properties that a grammar is made of; with more it takes long to follow.
_MOST_LEVELS: Final = 8
_MOST_VALUES: Final = 200
_MOST_PROPERTIES: Final = 64
_BOUNDS: Final = (
    ("string", "minLength", "maxLength"), ("array", "minItems", "maxItems"), ("integer", "minimum", "maximum"),
    ("number", "minimum", "maximum"),
)  # fmt: skip
_FILE_NAMES: Final = frozenset(("path", "file", "filename", "folder", "directory", "database"))


def call_schema(tool: OfferedTool, *, request: str | None = None) -> dict[str, Any]:
    """`{"tool": NAME, "arguments": {…}}`.

    With `request`, addresses and file names can only be those that it names, if it names any: a model too weak to copy
    them cannot invent others.
    """
    parameters = dict(tool.parameters) if request is None else _grounded(tool.parameters, request)
    return _object({"tool": {"const": tool.name}, "arguments": writable({**parameters, "type": "object"})})


def step_schema(tools: Sequence[OfferedTool]) -> dict[str, Any]:
    """One call of any of these tools, or `{"tool": "answer"}`."""
    return {"anyOf": [*map(call_schema, tools), _object({"tool": {"const": ANSWER}})]}


def can_serve(tool: OfferedTool, request: str) -> bool:
    """Tells whether the request names the addresses and files that the tool cannot do without."""
    properties = tool.parameters.get("properties", {})
    return all(_named(name, properties.get(name), request) != [] for name in tool.parameters.get("required", ()))


def writable(schema: object, depth: int = 0) -> dict[str, Any]:
    """The schema as far as a grammar can hold a model to it; the rest is left to the check of the arguments.

    Tools from outside have schemas that no grammar can keep, and one of them must not cost a model all its tools.
    """
    if not isinstance(schema, Mapping) or depth > _MOST_LEVELS:
        return {}
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list) and 0 < len(values) <= _MOST_VALUES:
        return {"enum": values}
    kinds = _kinds(schema)
    if not kinds:
        return _alternatives(schema, depth)
    made: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else kinds}
    if "object" in kinds:
        made |= _members(schema, depth)
    if "array" in kinds and "items" in schema:
        made["items"] = writable(schema["items"], depth + 1)
    for kind, low, high in _BOUNDS:
        if kind in kinds:
            least, most = schema.get(low), schema.get(high)
            if least is None or most is None or least <= most:
                made |= {word: schema[word] for word in (low, high) if word in schema}
    if "pattern" in schema and "string" in kinds:
        made["pattern"] = schema["pattern"]
    return made


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    given = schema.get("type")
    if given is None:
        return ["object"] if "properties" in schema else ["array"] if "items" in schema else []
    return list(given) if isinstance(given, list | tuple) else [given]


def _members(schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties, additional = schema.get("properties", {}), schema.get("additionalProperties")
    if not properties or len(properties) > _MOST_PROPERTIES:
        return {"additionalProperties": writable(additional, depth + 1)} if isinstance(additional, Mapping) else {}
    made: dict[str, Any] = {"properties": {name: writable(one, depth + 1) for name, one in properties.items()}}
    made["required"] = [name for name in schema.get("required", ()) if name in properties]
    return made if additional is None else {**made, "additionalProperties": False}


def _alternatives(schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """One of several, if the first character tells which; otherwise anything."""
    branches = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or []
    made = [writable(branch, depth + 1) for branch in branches]
    if len(made) == 1 or "allOf" in schema:
        return made[0] if len(made) == 1 else {}
    kinds = [one.get("type") for one in made]
    apart = all(isinstance(kind, str) for kind in kinds) and len({*kinds}) == len(kinds)
    return {"anyOf": made} if made and apart and not {"integer", "number"} <= {*kinds} else {}


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
    """The words of the request that this argument takes, by their kind; None if it takes something else."""
    if not isinstance(schema, Mapping) or schema.get("type") != "string" or not schema.keys() <= _FREE:
        return None
    word = name.lower().rpartition("_")[2]
    if word in _ADDRESS_NAMES or schema.get("format") == "uri":
        return addresses(request)
    return files(request) if word in _FILE_NAMES else None
