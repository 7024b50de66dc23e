"""Place of the bench: a home of its own, the commands it measures, the daemon it starts and stops."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from tests.root import ROOT

MODEL = ROOT / ".cache" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
LLM = ROOT / ".cache" / "bench-venv" / "bin" / "llm"
BENCH_PYTHON = LLM.with_name("python")
_INFERENCE = "AGENTGW_INFERENCE__"
_RAG = "AGENTGW_RAG__"
# Work that must not begin by itself while something is measured.
_QUIET = {"inference.calibrate": "false"}
# Streams at a time.
FOUR: Final = 4
# Of an answer of the model that echoes: as many deltas.
WORDS: Final = 40_000
# Options of an answer that is the same each time and soon has an end.
GREEDY: Final = ("-o", "temperature=0", "-o", "repeat_penalty=1")


class Setting:
    """A context manager: leaving it stops the daemon and removes the home.

    `inference` are settings of that section; those in the caller's environment hold too, such as the thread count.
    """

    def __init__(self, *, rounds: int, inference: Mapping[str, object] | None = None) -> None:
        self.rounds = rounds
        self._directory = tempfile.TemporaryDirectory(prefix="agentgw-bench-")
        self.directory = Path(self._directory.name)
        self.agentgw = os.fspath(Path(sys.executable).with_name("agentgw"))
        self.environment = {
            "AGENTGW_HOME": str(self.directory / "home"),
            "LLM_USER_PATH": str(self.directory / "llm"),
            "HOME": str(self.directory),
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            **{name: value for name, value in os.environ.items() if name.startswith((_INFERENCE, _RAG))},
            **{_INFERENCE + name.upper(): str(value).lower() for name, value in (inference or {}).items()},
        }
        self.known: dict[str, Any] = {}
        self.socket = self.directory / "home" / "run" / "agentgw.sock"

    def __enter__(self) -> Self:
        found = json.loads(self.run("config", "show", "--json"))["settings"]
        self.stop()
        self.known = {setting["key"]: setting.get("value") for setting in found}
        # An unknown key is an error, so only those are set that this agentgw has.
        for key, value in _QUIET.items():
            if key in self.known:
                self.environment["AGENTGW_" + key.upper().replace(".", "__")] = value
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._directory.cleanup()

    def variant(self, **inference: object) -> Setting:
        """Another setting beside this one, with these keys of `[inference]`."""
        return Setting(rounds=self.rounds, inference=inference)

    def few(self, most: int) -> int:
        """Rounds of a case whose round takes many seconds."""
        return min(self.rounds, most)

    def run(self, *words: str) -> str:
        """Standard output of an agentgw command."""
        return self._output((self.agentgw, *words))

    def result(self, *words: str) -> dict[str, Any]:
        """The JSON that an agentgw command prints with --json."""
        found: dict[str, Any] = json.loads(self.run(*words, "--json"))
        return found

    def status(self) -> dict[str, Any]:
        """The answer of `daemon.status`."""
        found: dict[str, Any] = json.loads(self.run("call", "daemon.status"))
        return found

    def stop(self) -> None:
        """Stops the daemon, if one runs."""
        subprocess.run((self.agentgw, "stop"), env=self.environment, capture_output=True, timeout=60)

    def _output(self, command: Sequence[str]) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=900)
        if done.returncode:
            raise SystemExit(f"bench: {' '.join(command)}: {done.stderr.strip()}")
        return done.stdout


def shown(command: Sequence[str]) -> str:
    """A command line to print, without this machine's paths."""
    return " ".join(word.rpartition("/")[2] if word.startswith("/") else word for word in command)
