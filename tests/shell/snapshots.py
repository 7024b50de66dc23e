"""Screens kept as text, to be looked at by people and compared by tests.

`AGENTGW_UPDATE_SCREENS=1` writes them anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent / "screens"
# Ids, rates and places are other ones each time.
_VARIABLE: Final = (
    (re.compile(r"\b([st])-[0-9A-Za-z]{6,}"), r"\1-ID"), (re.compile(r" · \d+ tok/s"), ""),
    (re.compile(r"\d+ tokens"), "N tokens"),
    (re.compile(r"agentgw \d[\w.]*,"), "agentgw VERSION,"), (re.compile(r"\d\d:\d\d\b"), "HH:MM"),
)  # fmt: skip


class Screens:
    """Compares screens with those that are kept. `failed` has the names of those that differ."""

    def __init__(self, *places: Path) -> None:
        self._places = [str(place) for place in places]
        self.failed: list[str] = []

    def keep(self, name: str, screen: str) -> None:
        """One screen."""
        for place in self._places:
            screen = screen.replace(place, "PLACE")
        for pattern, shown in _VARIABLE:
            screen = pattern.sub(shown, screen)
        path = _FOLDER / f"{name}.txt"
        if os.environ.get("AGENTGW_UPDATE_SCREENS"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{screen}\n")
        elif not path.is_file() or path.read_text() != f"{screen}\n":
            self.failed.append(f"--- {name} is not as it was kept:\n{screen}")
