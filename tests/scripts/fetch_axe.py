"""Fetches axe-core, which looks for what keeps people with disabilities from using a page, for the browser tests.

`python -m tests.scripts.fetch_axe DIRECTORY` puts `axe.min.js` there, with npm as a program. Without npm there is a
line that says so, and the tests that need it say the same.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.scripts.npm_file import fetch_file

PACKAGE: Final = "axe-core@4.14.1"
SHA256: Final = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"

if __name__ == "__main__":
    fetch_file(PACKAGE, "axe.min.js", SHA256, Path(sys.argv[1]).absolute())
