"""A root that nothing may lead out of, with a secret beside it."""

from __future__ import annotations

from pathlib import Path

SECRET = "the secret beside the root\n"


def make_root(folder: Path) -> Path:
    """A new root in this folder; a neighbour's name begins with the root's own."""
    made = folder / "root"
    made.mkdir()
    (folder / "root-evil").mkdir()
    for place in (folder, folder / "root-evil"):
        (place / "secret.txt").write_text(SECRET)
    return made
