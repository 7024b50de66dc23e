"""Context for calls in the tests of outside tools, and a look at which processes are left."""

from __future__ import annotations

import os
import time
from pathlib import Path

from agentgw_daemon.tools.tool import ToolContext

ENVIRON = {
    "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    "SECRET_KEY": "hunter2", "OURS": "from the daemon",
}  # fmt: skip


def context(cwd: Path) -> ToolContext:
    return ToolContext(
        cwd=cwd,
        roots=(cwd,),
        denied=(),
        session_id="s",
        turn_id="t",
        instance="i",
        environ=ENVIRON | {"HOME": str(cwd)},
    )


def alive(pid: int) -> bool:
    """Tells whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def pids_of(folder: Path) -> list[int]:
    """The processes that said they had started here."""
    file = folder / "pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def assert_gone(*pids: int) -> None:
    """Every one of them has ended; who was killed by a stranger's hand may take a moment to be reaped."""
    deadline = time.monotonic() + 10
    while left := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < deadline, left
