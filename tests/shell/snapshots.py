"""Screens kept as text, to be looked at by people and compared by tests.

`AGENTGW_UPDATE_SCREENS=1` writes them anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "screens"
# Ids, rates and places are other ones each time.
_VARIABLE: Final = (
    (re.compile(r"\b([st])-[0-9A-Za-z]{6,}"), r"\1-ID"), (re.compile(r" · \d+ tok/s"), ""),
    (re.compile(r"\d+ tokens( for \d+)?"), "N tokens"), (re.compile(r", \d+ a second"), ""),
    (re.compile(r", the first after [\d.]+ m?s"), ""),
    (re.compile(r"\b(template|general-assistant|tools|turns|message) \d+"), r"\1 N"),

    (re.compile(r"agentgw \d[\w.]*,"), "agentgw VERSION,"), (re.compile(r"\d\d:\d\d\b"), "HH:MM"),
)  # fmt: skip


def masked(screen: str) -> str:
    """The screen without what is another each time."""
    for pattern, shown in _VARIABLE:
        screen = pattern.sub(shown, screen)
    return screen


class Screens:
    """Compares screens with those that are kept. `failed` has the names of those that differ."""

    def __init__(self, *places: Path) -> None:
        self._places = [str(place) for place in places]
        self.failed: list[str] = []

    def keep(self, name: str, screen: str) -> None:
        """One screen."""
        for place in self._places:
            screen = screen.replace(place, "PLACE")
        screen = masked(screen)
        path = FOLDER / f"{name}.txt"
        if os.environ.get("AGENTGW_UPDATE_SCREENS"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{screen}\n")
        elif not path.is_file() or path.read_text() != f"{screen}\n":
            self.failed.append(f"--- {name} is not as it was kept:\n{screen}")
