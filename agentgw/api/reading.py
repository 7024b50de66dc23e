"""Results of the wire as the records of the contract, whatever a newer daemon adds to them. Does no I/O."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar, get_args

from agentgw.protocol.errors import InvalidParams, VersionMismatch
from agentgw.protocol.records.schema import bind, fields_of

T = TypeVar("T")


def read(cls: type[T], value: Any) -> T:
    """The record; fields that it does not have are left out. Raises VersionMismatch for what it cannot hold."""
    try:
        return bind(cls, _known(cls, value))
    except (InvalidParams, TypeError, AttributeError) as error:
        reason = error.data.get("path", "") if isinstance(error, InvalidParams) else type(error).__name__
        raise VersionMismatch(
            f"the daemon's answer is no {cls.__name__} of this version ({reason})",
            hint="install versions that go together",
        ) from None


def _known(kind: Any, value: Any) -> Any:
    """The value without the names that its record does not have, all the way down."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            return value
        return {field.name: _known(field.type, value[field.name]) for field in fields_of(kind) if field.name in value}
    if isinstance(value, list):
        return [_known(_record_in(kind), item) for item in value]
    record = _record_in(kind)
    return _known(record, value) if record is not None else value


def _record_in(kind: Any) -> Any:
    """The record that a type such as `tuple[X, ...]`, `X | None` or an annotated one is made of, if it is of one."""
    found = {inner for one in get_args(kind) for inner in (one, _record_in(one)) if dataclasses.is_dataclass(inner)}
    return found.pop() if len(found) == 1 else None
