"""The schema of a tool's arguments as somebody else wrote it, made one that can be checked by, shown and stored.

Servers write whatever their language's library gives them: drafts from 3 to 2020-12, types of OpenAPI, references,
half-wrong keywords. Only the server judges its arguments in the end, so a part that cannot be used here allows
anything, as it does in other clients; what is kept is plain JSON Schema 2020-12. Does no I/O.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from agentgw.protocol.visible import is_seen
from agentgw.transport.framing import MAX_INTEGER, MIN_INTEGER
from agentgw_daemon.text.valid import valid_value
from agentgw_daemon.tools.declared import MAX_NAME, DeclarationRefused, plain_text

# The largest schemas of published servers are some 10 KiB.
MAX_SCHEMA_BYTES: Final = 32 << 10
MAX_SCHEMA_DEPTH: Final = 16
MAX_SCHEMA_NODES: Final = 4000
# Of schemas in schemas, references followed. Each is up to two levels of JSON, and the wire has 64.
_MAX_LEVELS: Final = 16

Schema = dict[str, Any]

# A keyword that is in none of these goes. Above all those that run a stranger's regular expression, and those whose
# check takes more than one look at each value: `pattern`, `uniqueItems`, `unevaluatedProperties`.
_ONE_SCHEMA: Final = frozenset({"items", "contains", "additionalProperties", "not", "if", "then", "else"})
_MANY_SCHEMAS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NAMED_SCHEMAS: Final = frozenset({"properties", "dependentSchemas"})
_COUNTS: Final = frozenset({
    "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains",
})  # fmt: skip
_NUMBERS: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_TEXTS: Final = frozenset({"description", "title"})
_DATA: Final = frozenset({"const", "default"})
_TYPES: Final = frozenset({"string", "integer", "number", "boolean", "null", "array", "object"})
# Names for them in hand-written schemas.
_OTHER_TYPES: Final = {
    "str": "string", "int": "integer", "float": "number", "double": "number", "bool": "boolean", "list": "array",
    "dict": "object", "map": "object",
}  # fmt: skip
# A part of an intersection that can be written into the whole.
_MERGED: Final = frozenset({"type", "properties", "required", "additionalProperties", "title", "description"})


def checked_parameters(value: object) -> Schema:
    """The schema of an object, self-contained and without what must not be acted on here. Raises DeclarationRefused."""
    if not isinstance(value, dict):
        raise DeclarationRefused("its parameters are not the schema of an object")
    if nested_deeper(value, MAX_SCHEMA_DEPTH):
        raise DeclarationRefused(f"its schema is nested deeper than {MAX_SCHEMA_DEPTH}")
    try:
        size = len(json.dumps(value, allow_nan=False))
    except (ValueError, TypeError):
        raise DeclarationRefused("its schema is not JSON") from None
    if size > MAX_SCHEMA_BYTES:
        raise DeclarationRefused(f"its schema is larger than {MAX_SCHEMA_BYTES >> 10} KiB")
    return _as_object(_SchemaWriter(valid_value(value)).root())


def nested_deeper(value: object, most: int) -> bool:
    """Tells whether a JSON value has more than so many levels; looks no deeper than that."""
    level: list[object] = [value]
    for _ in range(most + 1):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


def weight(schema: object) -> int:
    """The number of parts a value is compared with that is checked by this schema."""
    if isinstance(schema, Mapping):
        return 1 + sum(map(weight, schema.values()))
    return 1 + sum(map(weight, schema)) if isinstance(schema, list | tuple) else 1


class _SchemaWriter:
    """A schema being written out, without references.

    References are what makes a small schema take for ever to check a value by: each may refer to two more.
    """

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._nodes = self._chars = 0
        self._anchors: dict[str, Schema] | None = None

    def root(self) -> Schema:
        """The whole."""
        return self._schema(self._root, ())

    def _schema(self, node: Schema, inside: tuple[str, ...]) -> Schema:
        """The node without references. `inside` are those that it stands in, or blanks for other parts.

        A reference that comes back, and what is nested too deep, allows anything.
        """
        self._spend(1, 0)
        if len(inside) > _MAX_LEVELS:
            return {}
        made: Schema = {}
        for key, item in node.items():
            if key in _DATA:
                if _fits(item):
                    made[key] = item
                    self._spend(0, len(json.dumps(item)))
            elif (kept := self._keyword(key, item, inside)) is not None:
                made[key] = kept
        _settle_older_words(made, node)
        if isinstance(node.get("items"), list):
            made |= self._items(node, inside)
        reference = node.get("$ref")
        if isinstance(reference, str) and reference not in inside:
            target = self._target(reference)
            if isinstance(target, dict):
                made = {**self._schema(target, (*inside, reference)), **made}
        return made

    def _spend(self, nodes: int, chars: int) -> None:
        self._nodes += nodes
        self._chars += chars
        if self._nodes > MAX_SCHEMA_NODES:
            raise DeclarationRefused(f"its schema, written out, has more than {MAX_SCHEMA_NODES} parts")
        if self._chars > 2 * MAX_SCHEMA_BYTES:
            raise DeclarationRefused(f"its schema, written out, is larger than {MAX_SCHEMA_BYTES >> 9} KiB")

    def _keyword(self, key: str, item: Any, inside: tuple[str, ...]) -> Any:
        """The value behind the keyword, if it is what belongs there; else None."""
        if key in _TEXTS:
            text = plain_text(item)
            self._spend(0, len(text))
            return text or None
        if key in _ONE_SCHEMA:
            return item if key == "additionalProperties" and item is False else self._part(item, inside)
        if key in _MANY_SCHEMAS:
            parts = item if isinstance(item, list) else []
            return [made for part in parts if (made := self._part(part, inside)) is not None] or None
        if key in _NAMED_SCHEMAS:
            return self._named(item, inside)
        return self._plain(key, item)

    def _plain(self, key: str, item: Any) -> Any:
        """The value of a keyword that holds no schema."""
        if key == "type":
            return _type(item)
        if key == "required":
            names = [name for name in item if isinstance(name, str)] if _is_list(item) else []
            self._spend(0, sum(map(len, names)))
            return list(dict.fromkeys(names)) or None
        if key == "enum":
            if not _is_list(item) or not _fits(item):
                return None
            self._spend(len(item), len(json.dumps(item)))
            return item
        if key in _COUNTS:
            return item if type(item) is int and 0 <= item <= MAX_INTEGER else None
        return _number(key, item) if key in _NUMBERS else None

    def _part(self, item: Any, inside: tuple[str, ...]) -> Schema | None:
        if item is True:
            return {}
        return self._schema(item, (*inside, "")) if isinstance(item, dict) else None

    def _named(self, item: Any, inside: tuple[str, ...]) -> dict[str, Schema] | None:
        if not isinstance(item, dict):
            return None
        self._spend(0, sum(map(len, item)))
        return {name: self._part(part, inside) or {} for name, part in item.items() if part is not False}

    def _items(self, node: Schema, inside: tuple[str, ...]) -> Schema:
        """Items one by one, as drafts before 2020-12 write them."""
        made: Schema = {}
        if parts := [self._part(part, inside) or {} for part in node["items"]]:
            made["prefixItems"] = parts
        rest = self._part(node.get("additionalItems"), inside)
        return made if rest is None else {**made, "items": rest}

    def _target(self, reference: str) -> Any:
        """The schema that it refers to in this one; None for anything else. Nothing is fetched."""
        if not reference.startswith("#"):
            return None
        if len(reference) > 1 and reference[1] != "/":
            if self._anchors is None:
                self._anchors = dict(_anchors(self._root))
            return self._anchors.get(reference[1:])
        found: Any = self._root
        for step in reference.split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isascii() and name.isdigit() and int(name[:9]) < len(found):
                found = found[int(name[:9])]
            elif isinstance(found, dict):
                found = found.get(name)
            else:
                return None
        return found


def _anchors(node: Any) -> Iterator[tuple[str, Schema]]:
    """The parts that have a name of their own, in the words of all drafts."""
    if isinstance(node, dict):
        for key in ("$anchor", "$id", "id"):
            if isinstance(node.get(key), str):
                yield node[key].removeprefix("#"), node
        node = list(node.values())
    for part in node if isinstance(node, list) else ():
        yield from _anchors(part)


def _settle_older_words(made: Schema, node: Schema) -> None:
    """Draft 4's bounds that only say of another bound that it is exclusive, OpenAPI's null, draft 3's required."""
    for bound in ("minimum", "maximum"):
        exclusive = f"exclusive{bound.title()}"
        if node.get(exclusive) is True and bound in made:
            made[exclusive] = made.pop(bound)
    if node.get("nullable") is True:
        if "type" in made:
            kinds = made["type"] if _is_list(made["type"]) else [made["type"]]
            made["type"] = kinds if "null" in kinds else [*kinds, "null"]
        if "enum" in made and None not in made["enum"]:
            made["enum"] = [*made["enum"], None]
    properties = node.get("properties")
    if isinstance(properties, dict):
        wanted = [name for name, one in properties.items() if isinstance(one, dict) and one.get("required") is True]
        if wanted:
            made["required"] = list(dict.fromkeys([*made.get("required", ()), *wanted]))


def _type(item: object) -> str | list[str] | None:
    """The type or types; None when one of them is unknown: then it may be anything."""
    kinds = [_OTHER_TYPES.get(one.lower(), one.lower()) for one in _listed(item) if isinstance(one, str)]
    if len(kinds) != len(_listed(item)) or not kinds or not set(kinds) <= _TYPES:
        return None
    made = list(dict.fromkeys(kinds))
    return made[0] if len(made) == 1 else made


def _number(key: str, item: object) -> float | None:
    if isinstance(item, bool) or not isinstance(item, int | float) or (key == "multipleOf" and item <= 0):
        return None
    # Bounds of other languages' integers: a little off, and no number that breaks somebody's reader.
    return item if isinstance(item, float) or MIN_INTEGER <= item <= MAX_INTEGER else float(item)


def _fits(item: object) -> bool:
    """Tells whether it holds no integer that others cannot read."""
    match item:
        case dict():
            return all(map(_fits, item.values()))
        case list():
            return all(map(_fits, item))
        case int():
            return MIN_INTEGER <= item <= MAX_INTEGER
        case _:
            return True


def _is_list(item: object) -> bool:
    return isinstance(item, list) and bool(item)


def _listed(item: object) -> list[object]:
    return item if isinstance(item, list) else [item]


def _as_object(schema: Schema) -> Schema:
    """The schema as that of an object with names for its properties. Raises DeclarationRefused."""
    made = _merged(schema)
    if "object" not in _listed(made.get("type", "object")):
        raise DeclarationRefused("its parameters are not the schema of an object")
    made = {**made, "type": "object"}
    properties: dict[str, Schema] = dict(made.get("properties", {}))
    if not all(map(_is_word, properties)):
        raise DeclarationRefused("its schema has a property whose name is no word")
    required = [name for name in made.pop("required", ()) if _is_word(name)]
    if made.get("additionalProperties") is False:
        required = [name for name in required if name in properties]
    made["properties"] = properties | {name: {} for name in required if name not in properties}
    return {**made, "required": required} if required else made


def _merged(schema: Schema) -> Schema:
    """An intersection of objects as one object, so that whoever is shown it sees all its properties."""
    parts = schema.get("allOf", [])
    if not parts or not all(part.keys() <= _MERGED and part.get("type", "object") == "object" for part in parts):
        return schema
    made = {key: item for key, item in schema.items() if key not in ("allOf", "additionalProperties")}
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for part in (*parts, schema):
        properties |= part.get("properties", {})
        required += part.get("required", ())
    return {**made, "properties": properties, "required": list(dict.fromkeys(required))}


def _is_word(name: str) -> bool:
    return all(map(is_seen, name)) and 0 < len(name) <= MAX_NAME
