"""Fetches the terminal emulator of xterm.js without its window, for tests that judge a terminal's scrollback.

`python -m tests.scripts.fetch_xterm DIRECTORY` puts `xterm-headless.js` there, with npm as a program. Without npm there
is a line that says so, and the tests that need it say the same.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.scripts.npm_file import fetch_file

PACKAGE: Final = "@xterm/headless@6.0.0"
SHA256: Final = "17a90b650cf6b77cce2b98c4063884d43545e4ce177a54b76ccfc906f1aacaed"

if __name__ == "__main__":
    fetch_file(PACKAGE, "lib-headless/xterm-headless.js", SHA256, Path(sys.argv[1]).absolute())
