"""JSON in the columns of the database: written so that it can be read and sent again, read however bad it has become.

What is read to go on with is read strictly: a turn must not act on half a record. What is read to be shown is
repaired, so that a row that a crash, a disk or an earlier version left bad costs no more than itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from agentgw.protocol.errors import InvalidParams
from agentgw.transport.framing import MAX_DEPTH, MAX_INTEGER, MIN_INTEGER, read_value
from agentgw_daemon.storage.columns import text_of
from agentgw_daemon.text.valid import valid_text, valid_value

T = TypeVar("T")

# Stands where something cannot be read.
UNREADABLE: Final = "[unreadable]"
# Levels that a record puts around a value of the wire's depth.
_MOST_LEVELS: Final = MAX_DEPTH + 32
_SHOWN_CHARACTERS: Final = 200
# Exceptions that reading a bad value may raise: it may be of any type, at any place.
BAD: Final = (ValueError, TypeError, LookupError, AttributeError, InvalidParams)


def to_text(value: object) -> str:
    """The JSON text of a value. Raises ValueError for NaN and infinities, which no reader takes."""
    return valid_text(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def from_text(text: str) -> Any:
    """The value of a text that is as it was written. Raises ValueError, TypeError or AttributeError."""
    value = read_value(text, max_depth=_MOST_LEVELS)
    return valid_value(value) if "\\u" in text else value


def repaired(text: object) -> Any:
    """The value of a text as far as it can be had: what is no JSON value is null, what is too deep a mark.

    Raises ValueError when it is no JSON at all.
    """
    text = text_of(text)
    try:
        return from_text(text)
    except ValueError:
        pass
    try:
        value = _LENIENT.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return _cut(value, MAX_DEPTH)


def arguments_of(text: object) -> dict[str, Any]:
    """The arguments of a stored call, to be shown."""
    try:
        value = repaired(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {UNREADABLE: text_of(text)[:_SHOWN_CHARACTERS]}


def read_or(default: T, read: Callable[[], T]) -> T:
    """The value that `read` gives, and the default where the text cannot be understood."""
    try:
        return read()
    except BAD:
        return default


def _cut(value: Any, levels: int) -> Any:
    match value:
        case str():
            return valid_text(value)
        case dict() | list() if levels == 0:
            return UNREADABLE
        case Mapping():
            return {valid_text(name): _cut(item, levels - 1) for name, item in value.items()}
        case list():
            return [_cut(item, levels - 1) for item in value]
        case _:
            return value


def _integer(digits: str) -> int | str:
    # As text where it does not fit: int() of thousands of digits is slow on purpose, and raises.
    if len(digits) > 20 or not MIN_INTEGER <= (value := int(digits)) <= MAX_INTEGER:
        return digits[:_SHOWN_CHARACTERS]
    return value


def _float(digits: str) -> float | None:
    value = float(digits)
    return value if value - value == 0.0 else None


_LENIENT: Final = json.JSONDecoder(parse_constant=lambda _: None, parse_int=_integer, parse_float=_float, strict=False)
