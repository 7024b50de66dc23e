"""Values of columns for display, of whatever type SQLite has there.

A value that is not what belongs there is shown as far as that makes sense, so that a row that went bad costs no more
than itself. Does no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, TypeVar

T = TypeVar("T")

# Beyond this not every reader of JSON keeps integers apart.
_MOST: Final = 1 << 53


def text_of(value: object) -> str:
    """A column's text, also where something else lies in it."""
    match value:
        case str():
            return value
        case bytes():
            return value.decode("utf-8", "replace")
        case None:
            return ""
        case _:
            return str(value)


def number_of(value: object, default: int = 0) -> int:
    """A column's integer; the default where it is none, or one that no count comes near."""
    return value if isinstance(value, int) and abs(value) <= _MOST else default


def real_of(value: object, default: float = 0.0) -> float:
    """A column's number; the default where it is none, or not finite."""
    return float(value) if isinstance(value, int | float) and value - value == 0 else default


def word_of(value: object, words: Collection[T], default: T) -> T:
    """The one of these words that lies in a column; the default where none does."""
    return next((word for word in words if word == value), default)


def optional(read: Callable[[object], T], value: object) -> T | None:
    """The value as `read` gives it; None where nothing lies in the column."""
    return None if value is None else read(value)
