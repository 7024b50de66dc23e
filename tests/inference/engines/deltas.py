"""Chunks of an endpoint's stream."""

from __future__ import annotations

from typing import Any


def delta(reason: Any = None, **said: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": said, "finish_reason": reason}]}
