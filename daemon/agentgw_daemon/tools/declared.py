"""What a tool from outside says about itself, made fit to be shown to a model and to a user. Does no I/O.

Nothing here trusts its input: names, descriptions and schemas come from programs of others.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Final, get_args

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from agentgw.visible import is_seen
from agentgw_daemon.tools.tool import Arguments, CallPreview, Effect
from agentgw_daemon.tools.visible import visible_json, visible_line

# The bound that hosted models put on a function's name.
MAX_NAME: Final = 64
# Every description is in every prompt; a thousand characters are some 250 tokens.
MAX_DESCRIPTION: Final = 1000
# The largest schemas of published servers are some 10 KiB.
MAX_SCHEMA_BYTES: Final = 32 << 10
MAX_SCHEMA_DEPTH: Final = 16
MAX_SCHEMA_NODES: Final = 4000
MAX_REASON: Final = 400

_NAME: Final = re.compile(r"[a-z0-9_]{1,64}")
# Under these keys stand names of the tool's own choosing, not words of JSON Schema.
_NAMED: Final = frozenset({"properties", "dependentSchemas", "dependentRequired"})
# A regular expression of a stranger is never run here, and what refers is written out (see `_Schema`).
_DROPPED: Final = frozenset(
    {
        "pattern", "patternProperties", "propertyNames", "$schema", "$id", "$anchor", "$dynamicRef", "$dynamicAnchor",
        "$vocabulary", "$comment", "$defs", "definitions", "examples", "format",
    }
)  # fmt: skip
# What these hold is data, whatever it looks like.
_DATA: Final = frozenset({"enum", "const", "default"})


class DeclarationRefused(ValueError):
    """What the tool says about itself cannot be used; the message is one line."""


def fit_name(text: str) -> str:
    """The text as a tool's name, `[a-z0-9_]{1,64}`; one that had to be cut ends in a digest of the whole."""
    made = re.sub(r"[^a-z0-9_]", "_", text.lower()) or "_"
    if len(made) <= MAX_NAME:
        return made
    return f"{made[: MAX_NAME - 9]}_{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"


def checked_name(value: object) -> str:
    """The name, when it is one. Raises DeclarationRefused."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise DeclarationRefused("its name must have 1 to 64 of the characters a-z, 0-9 and _")
    return value


def checked_effect(value: object, default: Effect) -> Effect:
    """The effect that is named, or the default. Raises DeclarationRefused."""
    if value is None:
        return default
    if value not in get_args(Effect):
        raise DeclarationRefused(f"its effect must be one of {', '.join(get_args(Effect))}")
    return value  # type: ignore[return-value]  # one of the literals, as just checked


def is_foreign(effect: Effect, own_output: object) -> bool:
    """Whether results may hold text that somebody else wrote: unless nothing is read, or the tool says otherwise."""
    return effect != "none" and own_output is not True


def plain_text(value: object, most: int = MAX_DESCRIPTION) -> str:
    """Text on one line without characters that are not seen, at most `most` long."""
    if not isinstance(value, str):
        return ""
    # Twice the room: what is thrown away below must not make the rest too short.
    words = "".join(c if is_seen(c) else " " for c in value[: 2 * most]).split()
    made = " ".join(words)
    return made if len(made) <= most else made[: most - 1] + "…"


def checked_parameters(value: object) -> dict[str, Any]:
    """The schema of an object, self-contained and without what must not be acted on here. Raises DeclarationRefused."""
    if not isinstance(value, dict) or value.get("type") != "object":
        raise DeclarationRefused("its parameters are not the schema of an object")
    if _depth(value) > MAX_SCHEMA_DEPTH:
        raise DeclarationRefused(f"its schema is nested deeper than {MAX_SCHEMA_DEPTH}")
    try:
        size = len(json.dumps(value, allow_nan=False).encode("utf-8"))
    except (ValueError, TypeError):
        raise DeclarationRefused("its schema is not JSON") from None
    if size > MAX_SCHEMA_BYTES:
        raise DeclarationRefused(f"its schema is larger than {MAX_SCHEMA_BYTES >> 10} KiB")
    made: dict[str, Any] = _Schema(value).written_out(value)
    _check_object(made)
    try:
        Draft202012Validator.check_schema(made)
    except SchemaError as error:
        raise DeclarationRefused(f"its schema is wrong: {plain_text(error.message, 200)}") from None
    return made


def _depth(value: object) -> int:
    """How deep it is nested; looks no deeper than one more than is allowed."""
    level: list[object] = [value]
    for depth in range(MAX_SCHEMA_DEPTH + 1):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return depth
    return MAX_SCHEMA_DEPTH + 1


class _Schema:
    """A schema being written out: no references, no regular expressions, plain texts.

    References are what makes a small schema take for ever to check a value by: each may refer to two more.
    """

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._nodes = 0

    def written_out(self, node: Any, inside: tuple[str, ...] = ()) -> Any:
        """The node without references. `inside` are those that it stands in: one that comes back allows anything."""
        self._nodes += 1
        if self._nodes > MAX_SCHEMA_NODES:
            raise DeclarationRefused(f"its schema, written out, has more than {MAX_SCHEMA_NODES} parts")
        if isinstance(node, list):
            return [self.written_out(item, inside) for item in node]
        if not isinstance(node, dict):
            return node
        made = {key: self._value(key, item, inside) for key, item in node.items() if key not in _DROPPED | {"$ref"}}
        reference = node.get("$ref")
        if reference is not None and reference not in inside:
            target = self.written_out(self._target(reference), (*inside, reference))
            made = {**target, **made} if isinstance(target, dict) else made
        return made

    def _value(self, key: str, item: Any, inside: tuple[str, ...]) -> Any:
        if key in ("description", "title"):
            return plain_text(item)
        if key in _DATA:
            return item
        if key in _NAMED and isinstance(item, dict):
            return {name: self.written_out(inner, inside) for name, inner in item.items()}
        return self.written_out(item, inside)

    def _target(self, reference: object) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise DeclarationRefused("its schema refers to another document")
        found: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            if not isinstance(found, dict) or step not in found:
                raise DeclarationRefused("its schema refers to a part that it does not have")
            found = found[step]
        return found


def _check_object(schema: dict[str, Any]) -> None:
    properties = schema.setdefault("properties", {})
    if not isinstance(properties, dict) or not all(isinstance(item, dict | bool) for item in properties.values()):
        raise DeclarationRefused("its schema's properties are not schemas")
    for name in properties:
        if not all(map(is_seen, name)) or len(name) > MAX_NAME:
            raise DeclarationRefused("its schema has a property whose name is no word")
    required = schema.get("required", [])
    if not isinstance(required, list) or any(name not in properties for name in required if isinstance(name, str)):
        raise DeclarationRefused("its schema requires properties that it does not have")


def preview(title: str, arguments: Arguments) -> CallPreview:
    """What an approval shows: the title, and the exact arguments."""
    return CallPreview(title=visible_line(title), details=(f"arguments: {visible_json(dict(arguments))}",))
