"""A daemon whose model the test speaks for, and a folder to work in."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.endpoint import Endpoint
from tests.patience import PATIENCE_S
from tests.shell.program import AGENTGW
from tests.shell.terminal import Terminal


@contextmanager
def chat_home_in(folder: Path, model: Endpoint) -> Iterator[ChatHome]:
    """A home whose daemon is stopped afterwards."""
    made = ChatHome(folder, model)
    try:
        yield made
    finally:
        subprocess.run([AGENTGW, "stop"], env=made.environment, capture_output=True, timeout=PATIENCE_S, check=False)


class ChatHome:
    """A daemon whose model is the endpoint, and a folder to work in."""

    def __init__(self, folder: Path, model: Endpoint) -> None:
        self.model = model
        self.work = folder / "work"
        self.work.mkdir()
        self.home = folder / "home"
        (self.home / "config").mkdir(parents=True, mode=0o700)
        self.home.chmod(0o700)
        config = self.home / "config" / "config.toml"
        config.write_text(f'{model.config}[model]\ndefault = "scripted/m"\n')
        config.chmod(0o600)
        self.environment = {**os.environ, "AGENTGW_HOME": str(self.home)}

    def on_terminal(self, *words: str, first: str = "", mute: bool = False) -> Terminal:
        script = f'{first} cd "$0" && exec "$@"'
        return Terminal(["sh", "-c", script, str(self.work), AGENTGW, *words], self.environment, mute=mute)

    def ask(self, *words: str) -> Any:
        done = subprocess.run(
            [AGENTGW, *words], env=self.environment, capture_output=True, timeout=PATIENCE_S, check=True
        )
        return json.loads(done.stdout)

    @property
    def file(self) -> Path:
        return self.work / "a.txt"
