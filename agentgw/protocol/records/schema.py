"""Dataclasses as the one definition of what crosses the wire.

From a record's annotations this module makes its JSON Schema (`schema_of`), reads a wire value into it
(`bind`) and writes it back (`dump`). Does no I/O. `Annotated[T, "what it is", Limit(...)]` carries the
documentation and the bounds.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, dataclass_transform, get_args, get_origin, get_type_hints

from agentgw.protocol.errors import InvalidParams
from agentgw.protocol.records.frozen import frozen

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record(cls: type[T]) -> type[T]:
    """A frozen, slotted, keyword-only dataclass: the form of every value that crosses a boundary."""
    return frozen(cls)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Bounds of one value; lengths are characters of a string or items of an array."""

    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    name: str
    type: Any
    doc: str
    limits: tuple[Limit, ...]
    required: bool


@cache
def fields_of(cls: type) -> tuple[_Field, ...]:
    """The record's fields in order, with their documentation and bounds."""
    hints = get_type_hints(cls, include_extras=True)
    made = []
    for field in dataclasses.fields(cls):
        kind, doc, limits = _unwrap(hints[field.name])
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        made.append(_Field(field.name, kind, doc, limits, required))
    return tuple(made)


def _unwrap(hint: Any) -> tuple[Any, str, tuple[Limit, ...]]:
    if get_origin(hint) in (Union, types.UnionType):
        # Limits and words of T hold for `T | None` too.
        options = [option for option in get_args(hint) if option is not type(None)]
        doc, limits = _unwrap(options[0])[1:] if len(options) == 1 else ("", ())
        return hint, doc, limits
    if get_origin(hint) is not Annotated:
        return hint, "", ()
    kind, *extras = get_args(hint)
    inner, doc, limits = _unwrap(kind)
    docs = [extra for extra in extras if isinstance(extra, str)]
    return inner, (docs[0] if docs else doc), limits + tuple(extra for extra in extras if isinstance(extra, Limit))


def schema_of(cls: type) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a record, without definitions by reference."""
    properties: dict[str, Any] = {}
    for field in fields_of(cls):
        schema = _schema(field.type, field.limits)
        if field.doc:
            schema["description"] = field.doc
        properties[field.name] = schema
    made: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [field.name for field in fields_of(cls) if field.required]
    if required:
        made["required"] = required
    return made


def _schema(kind: Any, limits: tuple[Limit, ...] = ()) -> dict[str, Any]:
    kind, _, inner = _unwrap(kind)
    limits = inner + limits
    origin = get_origin(kind)
    if kind is Any:
        return {}
    if origin in (Union, types.UnionType):
        options = [option for option in get_args(kind) if option is not type(None)]
        return _schema(options[0], limits) if len(options) == 1 else {"anyOf": [_schema(o, limits) for o in options]}
    if origin is Literal:
        return {"enum": list(get_args(kind))}
    if origin is tuple:
        return _bounded({"type": "array", "items": _schema(get_args(kind)[0])}, limits, "Items")
    if origin is dict or origin is Mapping or kind is dict:
        return {"type": "object"}
    kind = getattr(kind, "__supertype__", kind)
    if dataclasses.is_dataclass(kind):
        return schema_of(kind)  # type: ignore[arg-type]  # is_dataclass does not narrow to type
    if kind is bool:
        return {"type": "boolean"}
    if kind is str:
        return _bounded({"type": "string"}, limits, "Length")
    if kind in (int, float):
        return _bounded({"type": "integer" if kind is int else "number"}, limits, "")
    raise TypeError(f"no JSON Schema for {kind!r}")


def _bounded(schema: dict[str, Any], limits: tuple[Limit, ...], suffix: str) -> dict[str, Any]:
    for limit in limits:
        if limit.minimum is not None:
            schema["minimum"] = limit.minimum
        if limit.maximum is not None:
            schema["maximum"] = limit.maximum
        if limit.min_length is not None:
            schema[f"min{suffix}"] = limit.min_length
        if limit.max_length is not None:
            schema[f"max{suffix}"] = limit.max_length
        if limit.pattern is not None:
            # JSON Schema searches, `bind` matches the whole.
            schema["pattern"] = f"^(?:{limit.pattern})$"
    return schema


def bind(cls: type[T], params: Mapping[str, Any] | list[Any], path: str = "") -> T:
    """The record that `params` (by name, or by position in field order) describes.

    Raises InvalidParams naming the dotted path, with the nearest known name for an unknown one.
    """
    kind: type = cls  # mypy does not see that a type[T] is hashable
    known = fields_of(kind)
    if isinstance(params, list):
        if len(params) > len(known):
            raise _invalid(path, f"takes at most {len(known)} values by position")
        params = {field.name: value for field, value in zip(known, params, strict=False)}
    names = {field.name for field in known}
    for name in params:
        if name not in names:
            # Late, as model workers have records too, and start while somebody waits.
            from difflib import get_close_matches

            near = get_close_matches(str(name)[:64], names, n=1)
            raise _invalid(_join(path, str(name)[:64]), "unknown" + (f"; did you mean {near[0]}?" if near else ""))
    values: dict[str, Any] = {}
    for field in known:
        where = _join(path, field.name)
        if field.name in params:
            value = params[field.name]
            # An explicit null means "not given" for a field that may be left out.
            if value is not None or field.required:
                values[field.name] = _read(field.type, field.limits, value, where)
        elif field.required:
            raise _invalid(where, "missing")
    return cls(**values)


def _read(kind: Any, limits: tuple[Limit, ...], value: Any, path: str) -> Any:
    kind, _, inner = _unwrap(kind)
    limits = inner + limits
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        options = [option for option in get_args(kind) if option is not type(None)]
        if value is None and len(options) < len(get_args(kind)):
            return None
        return _read_any(options, limits, value, path)
    if origin is Literal:
        # True is 1 to Python, not on the wire.
        if not any(type(value) is type(known) and value == known for known in get_args(kind)):
            raise _invalid(path, "must be one of " + ", ".join(map(str, get_args(kind))))
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise _invalid(path, "must be an array")
        _check_length(value, limits, path, "items")
        return tuple(_read(get_args(kind)[0], (), item, f"{path}[{i}]") for i, item in enumerate(value))
    if origin is dict or origin is Mapping or kind is dict:
        if not isinstance(value, dict):
            raise _invalid(path, "must be an object")
        inner_kind = get_args(kind)[1] if get_args(kind) else Any
        return {name: _read(inner_kind, (), item, _join(path, name)) for name, item in value.items()}
    kind = getattr(kind, "__supertype__", kind)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise _invalid(path, "must be an object")
        return bind(kind, value, path)  # type: ignore[arg-type]  # is_dataclass does not narrow to type
    return _read_scalar(kind, limits, value, path)


def _read_any(options: list[Any], limits: tuple[Limit, ...], value: Any, path: str) -> Any:
    error: InvalidParams | None = None
    for option in options:
        try:
            return _read(option, limits, value, path)
        except InvalidParams as raised:
            error = raised
    assert error is not None
    raise error


def _read_scalar(kind: Any, limits: tuple[Limit, ...], value: Any, path: str) -> Any:
    if kind is bool:
        if not isinstance(value, bool):
            raise _invalid(path, "must be true or false")
        return value
    if kind is str:
        if not isinstance(value, str):
            raise _invalid(path, "must be a string")
        _check_length(value, limits, path, "characters")
        for limit in limits:
            if limit.pattern is not None and not re.fullmatch(limit.pattern, value):
                raise _invalid(path, f"must match {limit.pattern}")
        return value
    if isinstance(value, bool) or not isinstance(value, int if kind is int else (int, float)):
        raise _invalid(path, "must be an integer" if kind is int else "must be a number")
    for limit in limits:
        if limit.minimum is not None and value < limit.minimum:
            raise _invalid(path, f"must be at least {limit.minimum}")
        if limit.maximum is not None and value > limit.maximum:
            raise _invalid(path, f"must be at most {limit.maximum}")
    return kind(value)


def _check_length(value: str | list[Any], limits: tuple[Limit, ...], path: str, unit: str) -> None:
    for limit in limits:
        if limit.min_length is not None and len(value) < limit.min_length:
            short = f"needs at least {limit.min_length} {unit}" if limit.min_length > 1 else "is empty"
            raise _invalid(path, short)
        if limit.max_length is not None and len(value) > limit.max_length:
            raise _invalid(path, f"takes at most {limit.max_length} {unit}")


@cache
def _names_of(cls: type) -> tuple[tuple[str, bool], ...]:
    return tuple((field.name, field.required) for field in fields_of(cls))


def dump(value: Any) -> Any:
    """The JSON value of a record, a tuple, a mapping or a scalar; optional fields that are None are left out."""
    if isinstance(value, str | int | float) or value is None:
        return value
    if isinstance(value, tuple | list):
        return [dump(item) for item in value]
    if isinstance(value, Mapping):
        return {name: dump(item) for name, item in value.items()}
    kind: type = type(value)
    return {
        name: dump(item) for name, required in _names_of(kind) if (item := getattr(value, name)) is not None or required
    }


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _invalid(path: str, reason: str) -> InvalidParams:
    return InvalidParams(f"Invalid params: {path or 'params'} {reason}", path=path, reason=reason)
