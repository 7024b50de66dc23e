"""A program in a real tmux, which is itself on a terminal that tests can read."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.patience import PATIENCE_S
from tests.shell.terminal import COLUMNS, LINES, Terminal

_TMUX: Final = shutil.which("tmux")

needs_tmux: Final = pytest.mark.skipif(_TMUX is None, reason="tmux is not installed")


class Tmux(Terminal):
    """See Terminal; nothing of the user's tmux is touched."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path, cwd: Path) -> None:
        assert _TMUX is not None
        self._environment = {**environment, "TERM": "xterm", "TMUX": ""}
        self._tmux = [_TMUX, "-S", str(folder / "tmux"), "-f", "/dev/null"]
        settings = ["set", "-g", "status", "off", ";", "set", "-g", "history-limit", "5000", ";"]
        size = ["-x", str(COLUMNS), "-y", str(LINES)]
        super().__init__([*self._tmux, *settings, "new-session", *size, *command], self._environment, cwd)

    def __exit__(self, *_: object) -> None:
        self._ask("kill-server")
        super().__exit__()

    def scrollback(self) -> list[str]:
        """Every line of its window, without trailing blanks."""
        return [line.rstrip() for line in self._ask("capture-pane", "-p", "-S", "-").splitlines()]

    def _ask(self, *words: str) -> str:
        done = subprocess.run(
            [*self._tmux, *words],
            env=self._environment,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
            text=True,
        )
        return done.stdout
