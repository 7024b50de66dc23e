"""Notices a model that goes round in circles: the same call again and again, or two or three calls in turn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

# A second time may be wanted (the file has changed meanwhile); a third time in a row hardly ever.
_MOST_TIMES: Final = 3
# A-B-A-B and A-B-C-A-B-C.
_LONGEST_CYCLE: Final = 3
_CYCLES: Final = 2


def canonical(tool: str, arguments: Mapping[str, Any]) -> str:
    """One text for calls that mean the same: keys in order, no white space."""
    return f"{tool} {json.dumps(arguments, sort_keys=True, separators=(',', ':'), ensure_ascii=False, default=str)}"


class RepeatDetector:
    """Finder of repeated calls: it knows those of one turn, in order."""

    def __init__(self) -> None:
        self._calls: list[str] = []

    def note(self, tool: str, arguments: Mapping[str, Any]) -> str | None:
        """Remember a call that is about to be made; what to tell the model instead of making it, if it is a repeat."""
        self._calls.append(canonical(tool, arguments))
        last = self._calls[-1]
        if (times := self._calls.count(last)) >= _MOST_TIMES:
            return (
                f"You called {tool} with the same arguments {times} times. The result will not change. "
                "Use what you have: answer now, or try something else."
            )
        for length in range(2, _LONGEST_CYCLE + 1):
            if self._cycles(length):
                return (
                    f"Your last {_CYCLES * length} calls repeat each other. Their results will not change. "
                    "Use what you have: answer now, or try something else."
                )
        return None

    def _cycles(self, length: int) -> bool:
        tail = self._calls[-_CYCLES * length :]
        return len(tail) == _CYCLES * length and tail[:length] == tail[length:]
