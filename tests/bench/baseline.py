"""The other side of a comparison: a process that answers JSON lines, so that both sides can take turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.root import ROOT


class Baseline:
    """`python -m tests.bench.MODULE`, ready when the context is entered and killed when it is left.

    Its first line is what it is set up with; every further line is a round, answered by one line.
    """

    def __init__(self, module: str, setup: Mapping[str, Any], *, python: str | Path = sys.executable) -> None:
        self._module = module
        self._setup = setup
        self._child = subprocess.Popen(
            (os.fspath(python), "-m", f"tests.bench.{module}"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
        )  # fmt: skip

    def __enter__(self) -> Self:
        if self.ask(self._setup) != "ready":
            raise SystemExit(f"bench: {self._module} did not start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._child.kill()
        self._child.__exit__(kind, None, trace)

    def ask(self, request: object) -> Any:
        """The answer to one line."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            print(json.dumps(request), file=self._child.stdin, flush=True)
        except BrokenPipeError:
            raise SystemExit(f"bench: {self._module} has ended") from None
        if not (line := self._child.stdout.readline()):
            raise SystemExit(f"bench: {self._module} has ended; see what python -m tests.bench.{self._module} says")
        return json.loads(line)
