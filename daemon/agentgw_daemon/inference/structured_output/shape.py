"""A JSON Schema as a model is shown it: `{"name": string, "age": integer 0 to 130, "tags": [string, …]}`.

A third of the tokens of the schema itself, and a model of 135 million parameters answers better to it. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from agentgw_daemon.inference.structured_output import formats
from agentgw_daemon.inference.structured_output.schema_reader import SchemaReader, types_of

# A deeper part says little and takes room.
MAX_DEPTH: Final = 6
MAX_CHARACTERS: Final = 2000
MAX_DESCRIPTION_CHARACTERS: Final = 200
_MAX_CHOICES: Final = 50
_ELLIPSIS: Final = "…"


def shape_of(schema: Mapping[str, Any]) -> str | None:
    """The shape of the values of a schema that `grammar_of` takes; None if it would be long."""
    made = _Shape(schema).of(schema, 0)
    return made if len(made) <= MAX_CHARACTERS else None


class _Shape:
    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._reader = SchemaReader(schema)
        self._size = 0

    def of(self, schema: Any, depth: int) -> str:
        if not isinstance(schema, dict):
            return "any JSON"
        if depth > MAX_DEPTH or self._size > MAX_CHARACTERS:
            return _ELLIPSIS
        made = self._bare(schema, depth)
        self._size += len(made)
        description = schema.get("description")
        if not isinstance(description, str) or not description.strip():
            return made
        return f"{made} ({' '.join(description[:MAX_DESCRIPTION_CHARACTERS].split())})"

    def _bare(self, schema: Mapping[str, Any], depth: int) -> str:
        if "$ref" in schema:
            return self.of(self._reader.deref(schema["$ref"], "#")[1], depth + 1)
        for keyword in ("allOf", "anyOf", "oneOf"):
            if keyword in schema:
                return " or ".join(self.of(branch, depth + 1) for branch in schema[keyword][:_MAX_CHOICES])
        if "const" in schema or "enum" in schema:
            values = [schema["const"]] if "const" in schema else schema["enum"]
            shown = [json.dumps(value, ensure_ascii=False) for value in values[:_MAX_CHOICES]]
            return " or ".join([*shown, _ELLIPSIS] if len(values) > len(shown) else shown)
        types = types_of(schema, "#")
        if types is None:
            return "any JSON"
        return " or ".join(self._typed(schema, name, depth) for name in types)

    def _typed(self, schema: Mapping[str, Any], name: str, depth: int) -> str:
        match name:
            case "object":
                pairs = [
                    f"{json.dumps(key, ensure_ascii=False)}: {self.of(member, depth + 1)}"
                    for key, member in schema.get("properties", {}).items()
                ]
                if not pairs:
                    pairs = [f"string: {self.of(schema.get('additionalProperties', True), depth + 1)}", _ELLIPSIS]
                return "{" + ", ".join(pairs) + "}"
            case "array":
                return f"[{self.of(schema.get('items', True), depth + 1)}, {_ELLIPSIS}]"
            case "integer" | "number":
                return name + _between(schema)
            case "string":
                most = schema.get("maxLength")
                matching = f" matching {schema['pattern']}" if "pattern" in schema else ""
                if schema.get("format") in formats.PATTERNS:
                    matching += f" that is a {schema['format']}"
                return f"string{matching}" + ("" if most is None else f" of at most {most} characters")
            case _:
                return name


def _between(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" {low} to {high}"
    return f" from {low}" if low is not None else f" up to {high}" if high is not None else ""
