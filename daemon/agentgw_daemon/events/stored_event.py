"""Events of a turn as they are on record."""

from __future__ import annotations

from typing import Any, NamedTuple


class StoredEvent(NamedTuple):
    """An event as the stored log has it. `params` hold neither ids nor its number."""

    seq: int
    method: str
    params: dict[str, Any]
