"""Installs llama.cpp's own server, as the package xllamacpp has it, for the end-to-end tests.

`python fetch_llama_server.py DIRECTORY` prints the Python to run it with. What is there already stays. Only a wheel:
a server takes ten minutes to build.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

PACKAGE: Final = "xllamacpp==2026.10.11549"


def fetch(directory: Path) -> Path:
    """The Python of an environment that has it."""
    python, done = directory / "bin" / "python", directory / "installed"
    if not done.is_file() or done.read_text() != PACKAGE:
        print(f"Installing {PACKAGE}.", file=sys.stderr)
        venv.create(directory, with_pip=True, symlinks=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        pip: list[str | Path] = [
            python,
            "-m",
            "pip",
            "install",
            "-qq",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
        ]
        subprocess.run([*pip, PACKAGE], check=True, env=environment)
        done.write_text(PACKAGE)
    return python


if __name__ == "__main__":
    print(fetch(Path(sys.argv[1]).absolute()))
