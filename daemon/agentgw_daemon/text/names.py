"""Names as they are compared."""

from __future__ import annotations


def normalised(name: str) -> str:
    """The name as skills are kept under: `general_assistant` is `general-assistant`."""
    return name.strip().lower().replace("_", "-").replace(" ", "-")
