"""Values that a JSON Schema allows, before any grammar is made: types, first characters, references. Pure."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from agentgw_daemon.inference.structured_output import formats

# The keywords that concern one type; without `type`, they tell which is meant.
KINDS: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset(
        {"properties", "required", "additionalProperties", "minProperties", "maxProperties", "unevaluatedProperties"}
    ),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
}
# A reference to a reference to …
_MAX_HOPS: Final = 64
# Some ten milliseconds each thousand at worst. What people write takes some hundred.
_MAX_STEPS: Final = 100_000


class SchemaError(Exception):
    """A schema that cannot be kept: `path` is a JSON pointer into it (`#/properties/age/minimum`)."""

    def __init__(self, path: str, reason: str) -> None:
        path = path if len(path) <= 300 else path[:299] + "…"
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class Types:
    """JSON Schema's types: how a value of each begins, as one letter a kind, and which values are of it."""

    kinds: Final[Mapping[str, frozenset[str]]] = {
        "object": frozenset("{"), "array": frozenset("["), "string": frozenset('"'), "integer": frozenset("0"),
        "number": frozenset("0"), "boolean": frozenset("tf"), "null": frozenset("n"),
    }  # fmt: skip

    @staticmethod
    def of(value: Any) -> str:
        """The type of a value; a float without a fraction is an integer."""
        if value is None or isinstance(value, bool):
            return "null" if value is None else "boolean"
        if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value) and value == int(value)):
            return "integer"
        named = {float: "number", str: "string", list: "array", dict: "object"}
        return named[type(value)]

    @staticmethod
    def holds(name: str, value: Any) -> bool:
        """Tells whether the value is of the type."""
        found = Types.of(value)
        return found == name or (found == "integer" and name == "number")


def types_of(schema: Mapping[str, Any], path: str) -> list[str] | None:
    """The types a schema names or means, None for any. Raises SchemaError."""
    if "type" not in schema:
        meant = [name for name, words in KINDS.items() if not words.isdisjoint(schema)]
        form = schema.get("format")
        if not meant and isinstance(form, str) and form in formats.KNOWN:
            meant = ["string" if form in formats.PATTERNS else "integer" if form.startswith("int") else "number"]
        return meant[:1] or None
    given = schema["type"]
    names = given if isinstance(given, list) else [given]
    if not names or not all(isinstance(name, str) and name in Types.kinds for name in names):
        raise SchemaError(f"{path}/type", f"must be one of {', '.join(Types.kinds)}, or an array of them")
    # Every integer is a number too: llama.cpp would read each twice.
    return [name for name in dict.fromkeys(names) if name != "integer" or "number" not in names]


ALL_KINDS: Final[frozenset[str]] = frozenset().union(*Types.kinds.values())


class SchemaReader:
    """Follows the references of one schema. The number of all its steps together is bounded."""

    def __init__(self, root: Any) -> None:
        self._root: Final = root
        self._steps = 0

    def deref(self, reference: Any, path: str) -> tuple[str, Any]:
        """The pointer and the schema that a local reference names. Raises SchemaError."""
        self._step(path)
        if not isinstance(reference, str):
            raise SchemaError(path, "must be a string")
        if reference != "#" and not reference.startswith("#/"):
            raise SchemaError(path, f"{reference[:80]} is not in this schema: only references like #/$defs/name are")
        found = self._root
        for part in reference.split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isdecimal() and len(name) < 10 and int(name) < len(found):
                found = found[int(name)]
            else:
                raise SchemaError(path, f"{reference[:80]} does not exist")
        return reference, found

    def kinds(self, schema: Any, path: str, hops: int = 0) -> frozenset[str]:
        """The ways in which its values may begin. Raises SchemaError for a schema that is nothing but a
        reference to itself.
        """
        self._step(path)
        if hops > _MAX_HOPS:
            raise SchemaError(path, "refers to itself, or nests too deeply")
        if not isinstance(schema, dict):
            return ALL_KINDS
        if "$ref" in schema:
            return self.kinds(self.deref(schema["$ref"], f"{path}/$ref")[1], path, hops + 1)
        if (branches := _branches(schema)) is not None:
            return frozenset().union(*(self.kinds(branch, path, hops + 1) for branch in branches))
        if (values := _values(schema)) is not None:
            firsts = (json.dumps(value)[0] for value in values)
            return frozenset("0" if first in "-0123456789" else first for first in firsts)
        types = types_of(schema, path)
        return ALL_KINDS if types is None else frozenset().union(*(Types.kinds[name] for name in types))

    def are_parted(self, schemas: Sequence[Any], path: str) -> bool:
        """Tells whether objects of these differ before the value of any property that is not a constant begins."""
        openings = [self._opening(schema, path) for schema in schemas]
        for one, other in itertools.combinations(openings, 2):
            self._step(path)
            if one is None or other is None:
                return False
            for name in one.keys() & other.keys():
                mine, theirs = one[name], other[name]
                if mine is None or theirs is None or not mine.isdisjoint(theirs):
                    return False
        return True

    def _opening(self, schema: Any, path: str) -> dict[str, frozenset[str] | None] | None:
        """The names an object may begin with, and the value as text where it is one of few; None if unknown."""
        schema = self._followed(schema, path)
        if not isinstance(schema, dict) or _branches(schema) is not None or types_of(schema, path) != ["object"]:
            return None
        properties, required = schema.get("properties"), schema.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list) or _values(schema) is not None:
            return None
        found: dict[str, frozenset[str] | None] = {}
        for name, member in properties.items():
            followed = self._followed(member, path)
            values = _values(followed) if isinstance(followed, dict) else None
            found[name] = None if values is None else frozenset(map(json.dumps, values))
            if name in required:
                return found
        return None

    def may_both_match(self, one: Any, other: Any, path: str, hops: int = 0) -> bool:
        """Tells whether a value that is written for one may meet the other too; True in doubt."""
        self._step(path)
        one, other = self._followed(one, path), self._followed(other, path)
        if one is False or other is False:
            return False
        if not isinstance(one, dict) or not isinstance(other, dict) or hops > _MAX_HOPS:
            return True
        for first, second in ((one, other), (other, one)):
            if (branches := _branches(first)) is not None:
                return any(self.may_both_match(branch, second, path, hops + 1) for branch in branches)
        mine, theirs = _values(one), _values(other)
        if mine is not None and theirs is not None:
            return any(_same(value, another) for value in mine for another in theirs)
        for values, schema in ((mine, other), (theirs, one)):
            if values is not None:
                return any(_allows(schema, Types.of(value)) for value in values)
        both = {name for name in types_of(one, path) or Types.kinds if _allows(other, name)}
        both |= {name for name in types_of(other, path) or Types.kinds if _allows(one, name)}
        return bool(both) and (both != {"object"} or not self._are_apart(one, other, path, hops))

    def _are_apart(self, one: Mapping[str, Any], other: Mapping[str, Any], path: str, hops: int) -> bool:
        """Tells whether a property tells objects of the two apart."""
        for first, second in ((one, other), (other, one)):
            properties = second.get("properties", {})
            for name in first.get("required", []):
                if name not in properties:
                    if second.get("additionalProperties") is False:
                        return True
                    continue
                member = first.get("properties", {}).get(name, True)
                known = name in second.get("required", [])
                if known and not self.may_both_match(member, properties[name], path, hops + 1):
                    return True
        return False

    def _followed(self, schema: Any, path: str) -> Any:
        for _ in range(_MAX_HOPS):
            if not isinstance(schema, dict) or "$ref" not in schema:
                return schema
            schema = self.deref(schema["$ref"], f"{path}/$ref")[1]
        raise SchemaError(path, "refers to itself")

    def _step(self, path: str) -> None:
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise SchemaError(path, "is too intricate")


def _branches(schema: Mapping[str, Any]) -> list[Any] | None:
    for keyword in ("allOf", "anyOf", "oneOf"):
        branches = schema.get(keyword)
        if isinstance(branches, list) and branches:
            return branches
    return None


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None


def _allows(schema: Mapping[str, Any], name: str) -> bool:
    """Tells whether values of the type may meet the schema: without `type`, any."""
    given = schema.get("type")
    names = given if isinstance(given, list) else [given]
    return (
        given is None
        or name in names
        or (name == "integer" and "number" in names)
        or (name == "number" and "integer" in names)
    )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    return type(one) is type(other) and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
