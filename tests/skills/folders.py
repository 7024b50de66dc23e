"""Makes skills on disk for the tests."""

from __future__ import annotations

from pathlib import Path


def write_skill(
    root: Path, name: str, *, front: str | None = None, body: str = "Do it well.\n", description: str = "Does it."
) -> Path:
    """The folder of a skill below `root`; `front` replaces its whole front matter."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    front = f"name: {name}\ndescription: {description}\n" if front is None else front
    (folder / "SKILL.md").write_text(f"---\n{front}---\n{body}")
    return folder


def with_metadata(name: str, *lines: str) -> str:
    """Front matter with these lines under `metadata`."""
    return f"name: {name}\ndescription: Does it.\nmetadata:\n" + "".join(f"  {line}\n" for line in lines)
