"""From path, query and body of a request to the parameters of a method. Does no I/O."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, Union, get_args, get_origin
from urllib.parse import parse_qsl

from agentgw.protocol.errors import InvalidParams
from agentgw.protocol.records.schema import fields_of
from agentgw.transport.framing import decode

# More than any method has.
_MOST_QUERY_FIELDS: Final = 200
# Bounded: int() of thousands of digits is slow on purpose.
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_TRUTHS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

FieldAliases = Mapping[str, str]
"""Other names of a method's fields, as the predecessor had them; one that leads to nothing is passed over."""


def body_values(body: bytes, *, max_depth: int) -> dict[str, Any]:
    """The object in a JSON body, by the rules of the socket. Raises ParseError, InvalidRequest or InvalidParams."""
    value = decode(body, max_depth=max_depth)
    if not isinstance(value, dict):
        raise InvalidParams("Invalid params: the body must be a JSON object", path="", reason="must be an object")
    return value


def form_fields(body: bytes) -> dict[str, str]:
    """The fields of a form, `application/x-www-form-urlencoded`. Raises InvalidParams."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_QUERY_FIELDS
        )
    except ValueError:
        raise _invalid("the form", "cannot be read") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _invalid("a field of the form", "is given twice")
    if any("\0" in text for text in fields.values()):
        raise _invalid("the form", "holds a character that nothing here may hold")
    # Browsers end lines by CR and LF.
    return {name: text.replace("\r\n", "\n") for name, text in fields.items()}


def query_values(query: str, params: type, names: FieldAliases) -> dict[str, Any]:
    """The fields of a query string, each as its field of `params` wants it. Raises InvalidParams.

    A list is given by naming it several times, or once with commas.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_QUERY_FIELDS)
    except ValueError:
        raise _invalid("the query", "cannot be read") from None
    kinds = {field.name: field.type for field in fields_of(params)}
    values: dict[str, Any] = {}
    for given, text in pairs:
        name = names.get(given, given)
        kind = kinds.get(name)
        if "\0" in text:
            raise _invalid(given, "holds a character that nothing here may hold")
        if kind is not None and _is_list(kind):
            # By its singular it is one, which may have commas itself.
            parts = [text] if given == name.removesuffix("s") else map(str.strip, text.split(","))
            values.setdefault(given, []).extend(part for part in parts if part)
        elif given in values:
            raise _invalid(given, "is given twice")
        else:
            values[given] = text if kind is None else _value(text, kind)
    return values


def merged(parts: Iterable[Mapping[str, Any]], names: FieldAliases) -> dict[str, Any]:
    """The fields of all parts under their own names. Raises InvalidParams when one is given twice."""
    values: dict[str, Any] = {}
    for part in parts:
        for given, value in part.items():
            if not given:
                raise _invalid("a field without a name", "is unknown")
            name = names.get(given, given)
            if not name:
                continue
            if name in values:
                raise _invalid(given, "is given twice")
            alone = isinstance(value, str) and name == f"{given}s"
            values[name] = [value] if alone else value
    return values


def _options(kind: Any) -> tuple[Any, ...]:
    """The types that a value may have, without None and without what documents them."""
    if hasattr(kind, "__metadata__"):
        return _options(kind.__origin__)
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(one for option in get_args(kind) if option is not type(None) for one in _options(option))
    return (kind,)


def _is_list(kind: Any) -> bool:
    return any(get_origin(one) is tuple for one in _options(kind))


def _value(text: str, kind: Any) -> Any:
    """The text as the type it is to become, or as it is: then the type's own complaint is the answer."""
    for option in _options(kind):
        wanted = type(get_args(option)[0]) if get_origin(option) is Literal else option
        if wanted is bool:
            return _TRUTHS.get(text.lower(), text)
        if wanted is int and _INTEGER.fullmatch(text):
            return int(text)
        if wanted is float and _NUMBER.fullmatch(text):
            return float(text)
    return text


def _invalid(path: str, reason: str) -> InvalidParams:
    return InvalidParams(f"Invalid params: {path[:64]} {reason}", path=path[:64], reason=reason)
