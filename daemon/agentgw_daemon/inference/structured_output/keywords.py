"""Demands of single keywords of a JSON Schema: names, counts, numbers between bounds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from agentgw_daemon.inference.structured_output import formats, numerals
from agentgw_daemon.inference.structured_output.gbnf import Expr
from agentgw_daemon.inference.structured_output.schema_reader import SchemaError, types_of

# More than any context holds.
MAX_COUNT: Final = 1 << 30


def members(schema: Mapping[str, Any], path: str) -> tuple[dict[str, Any], frozenset[str]]:
    """The properties and the names of those that are required. Raises SchemaError."""
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict):
        raise SchemaError(f"{path}/properties", "must be an object")
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise SchemaError(f"{path}/required", "must be an array of strings")
    return properties, frozenset(required)


def counts(schema: Mapping[str, Any], low: str, high: str, path: str) -> tuple[int, int | None]:
    """A lower and an upper count. Raises SchemaError."""
    counts = []
    for keyword in (low, high):
        value = schema.get(keyword)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value != int(value)):
            raise SchemaError(f"{path}/{keyword}", "must be an integer")
        if value is not None and value < 0:
            raise SchemaError(f"{path}/{keyword}", "must be 0 or more")
        if value is not None and value > MAX_COUNT:
            raise SchemaError(f"{path}/{keyword}", f"is more than {MAX_COUNT}")
        counts.append(None if value is None else int(value))
    least, most = counts[0] or 0, counts[1]
    if most is not None and least > most:
        raise SchemaError(f"{path}/{low}", f"is {least}, more than {high}, {most}")
    return least, most


def number(schema: Mapping[str, Any], name: str, path: str) -> Expr:
    """Numbers of the type `name` between the bounds that the schema has. Raises SchemaError."""
    if schema.get("multipleOf", 1 if name == "integer" else None) != (1 if name == "integer" else None):
        raise SchemaError(f"{path}/multipleOf", "is not supported")
    bounds: dict[str, Decimal] = {}
    limits = formats.RANGES.get(str(schema.get("format")))
    # Bounds of 64 bits are wider than what is written without a bound.
    if limits is not None and limits[1] < numerals.LARGEST:
        bounds["minimum"], bounds["maximum"] = map(Decimal, limits)
    for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        value = schema.get(keyword)
        if value is not None:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise SchemaError(f"{path}/{keyword}", "must be a number")
            given = Decimal(repr(value))
            known = bounds.get(keyword)
            tighter = max if keyword.lower().endswith("minimum") else min
            bounds[keyword] = given if known is None else tighter(given, known)
    # At one and the same value, the exclusive bound is the tighter one.
    lows = [(bounds[word], word) for word in ("minimum", "exclusiveMinimum") if word in bounds]
    highs = [(-bounds[word], word) for word in ("maximum", "exclusiveMaximum") if word in bounds]
    low, low_word = max(lows, key=lambda bound: (bound[0], bound[1] != "minimum"), default=(None, ""))
    high, high_word = max(highs, key=lambda bound: (bound[0], bound[1] != "maximum"), default=(None, ""))
    high = None if high is None else -high
    open_low, open_high = low_word == "exclusiveMinimum", high_word == "exclusiveMaximum"
    try:
        if name == "integer":
            if low is not None and open_low and low == low.to_integral_value():
                low += 1
            if high is not None and open_high and high == high.to_integral_value():
                high -= 1
            return numerals.integer(low, high)
        return numerals.number(low, high, open_low=open_low, open_high=open_high)
    except numerals.Unwritable as error:
        raise SchemaError(f"{path}/{low_word or high_word}", str(error)) from None


def format_fault(schema: Mapping[str, Any], path: str) -> SchemaError | None:
    """The reason why the grammar of this schema does not keep its `format`; None if it does, or there is none."""
    name = schema.get("format")
    if name is None:
        return None
    if name not in formats.KNOWN:
        return SchemaError(f"{path}/format", f"is not supported; known are {', '.join(formats.KNOWN)}")
    others: tuple[str, ...] = ("$ref", "allOf", "anyOf", "oneOf")
    types = frozenset(types_of(schema, path) or ())
    if name in formats.PATTERNS:
        others = (*others, "pattern", "minLength", "maxLength")
        if "string" not in types and "enum" not in schema and "const" not in schema:
            return SchemaError(f"{path}/format", "is one of strings")
    elif types and types.isdisjoint(("integer", "number")):
        return SchemaError(f"{path}/format", "is one of numbers")
    if other := next((word for word in others if word in schema), None):
        return SchemaError(f"{path}/format", f"cannot be combined with {other}")
    return None


def escaped(name: str) -> str:
    """A property's name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")
