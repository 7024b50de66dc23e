"""Fetches axe-core, which looks for what keeps people with disabilities from using a page, for the browser tests.

`python fetch_axe.py DIRECTORY` puts `axe.min.js` there, with npm as a program. Without npm there is a line that says
so, and the tests that need it say the same.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

PACKAGE: Final = "axe-core@4.14.1"
SHA256: Final = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
NAME: Final = "axe.min.js"


def fetch(directory: Path) -> Path | None:
    """The path of the script, or None where it cannot be had."""
    script = directory / NAME
    if not script.is_file():
        npm = shutil.which("npm")
        if npm is None:
            print(f"npm is not installed, so {PACKAGE} is not fetched.", file=sys.stderr)
            return None
        with tempfile.TemporaryDirectory() as scratch:
            packed = subprocess.run(
                [npm, "pack", "--silent", PACKAGE], cwd=scratch, stdout=subprocess.PIPE, check=True, text=True
            ).stdout.split()[-1]
            with tarfile.open(Path(scratch) / packed) as archive:
                member = archive.extractfile(f"package/{NAME}")
                assert member is not None
                body = member.read()
        found = hashlib.sha256(body).hexdigest()
        if found != SHA256:
            raise SystemExit(f"{PACKAGE} is not what it was: {found}")
        directory.mkdir(parents=True, exist_ok=True)
        script.write_bytes(body)
    return script


if __name__ == "__main__":
    fetch(Path(sys.argv[1]).absolute())
