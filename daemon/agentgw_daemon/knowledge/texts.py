"""Text that stands for a chunk when it is embedded."""

from __future__ import annotations


def embedded_text(title_path: str, text: str) -> str:
    """The text with the headings it stands under: a section seldom repeats what it is about."""
    return f"{title_path}\n\n{text}" if title_path else text
