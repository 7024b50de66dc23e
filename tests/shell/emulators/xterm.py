"""The terminal of xterm.js, with its scrollback, as text. One process of node serves one test after the other."""

from __future__ import annotations

import json
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import pytest

from tests.patience import PATIENCE_S

_HERE: Final = Path(__file__).parent
_SCRIPT: Final = _HERE.parents[2] / ".cache" / "xterm" / "xterm-headless.js"
_NODE: Final = shutil.which("node")

needs_xterm: Final = pytest.mark.skipif(
    _NODE is None or not _SCRIPT.is_file(), reason="node or xterm.js is not there: make xterm"
)


class Xterm:
    """A terminal emulator that forgets no line; a context manager. `open` gives it a fresh screen."""

    def __init__(self) -> None:
        assert _NODE is not None
        self._process = subprocess.Popen(
            [_NODE, str(_HERE / "xterm.js"), str(_SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def open(self, columns: int, rows: int) -> None:
        """An empty screen of this size."""
        self._order(open=[columns, rows])

    def write(self, text: str) -> None:
        """Show it."""
        self._order(write=text)

    def resize(self, columns: int, rows: int) -> None:
        """Change its size; lines are broken anew, as its users see it."""
        self._order(resize=[columns, rows])

    def lines(self) -> list[str]:
        """Every line there ever was, without trailing blanks and without empty lines at the end."""
        self._order(lines=True)
        stdout = self._process.stdout
        assert stdout is not None
        assert select.select([stdout], [], [], PATIENCE_S)[0], "xterm.js does not answer"
        lines = [line.rstrip() for line in json.loads(stdout.readline())]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def _order(self, **order: Any) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps(order).encode() + b"\n")
        stdin.flush()


@pytest.fixture(scope="module")
def xterm() -> Iterator[Xterm]:
    """One emulator for the tests of a module."""
    with Xterm() as made:
        yield made
