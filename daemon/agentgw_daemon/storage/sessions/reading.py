"""Records out of a turn's columns, strictly or as far as they can be read."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from agentgw.protocol.records.schema import bind
from agentgw_daemon.storage.json_text import BAD, from_text, repaired

T = TypeVar("T")
D = TypeVar("D")


class ColumnReader:
    """Reads the columns of one turn. Strict, it raises one of `json_text.BAD` for what is not as it was written.

    Otherwise a default stands for it, and its name is in `unreadable`.
    """

    def __init__(self, *, strict: bool) -> None:
        self.strict: Final = strict
        self.unreadable: Final[list[str]] = []

    def record(self, name: str, kind: type[T], text: Any, default: D) -> T | D:
        """The record that this JSON text describes; the default where there is no text."""
        if text is None:
            return default
        try:
            return bind(kind, self._value(text))
        except BAD:
            if self.strict:
                raise
            self.unreadable.append(name)
            return default

    def records(self, name: str, kind: type[T], text: Any) -> tuple[T, ...]:
        """The records in this JSON array; none where there is no text."""
        if text is None:
            return ()
        try:
            return tuple(bind(kind, one) for one in self._value(text))
        except BAD:
            if self.strict:
                raise
            self.unreadable.append(name)
            return ()

    def _value(self, text: Any) -> Any:
        return from_text(text) if self.strict else repaired(text)
