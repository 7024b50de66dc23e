"""Installs the MCP servers that the end-to-end tests talk to into environments of their own.

`python fetch_mcp_servers.py DIRECTORY` prints their programs. What is there already stays.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

# An environment each: the first brings this year's SDK, the second needs the one before. We have to get on with both.
SERVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "mcp-server-time": ("mcp-server-time==2026.10.19",),
    "mcp-server-sqlite": ("mcp-server-sqlite==2025.4.25", "mcp<2"),
}


def fetch(directory: Path) -> dict[str, Path]:
    """The servers' programs by name."""
    return {name: _installed(name, packages, directory / name) for name, packages in SERVERS.items()}


def _installed(name: str, packages: Sequence[str], place: Path) -> Path:
    done = place / "installed"
    if not done.is_file() or done.read_text() != "\n".join(packages):
        print(f"Installing {packages[0]}.", file=sys.stderr)
        venv.create(place, with_pip=True, symlinks=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        pip: list[str | Path] = [place / "bin" / "python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True, env=environment)
        done.write_text("\n".join(packages))
    return place / "bin" / name


if __name__ == "__main__":
    for program in fetch(Path(sys.argv[1]).absolute()).values():
        print(program)
