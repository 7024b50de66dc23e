"""Programs that stand in for the daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from agentgw.local.lifetime import spawn
from agentgw.local.paths import Paths
from tests.client import fakedaemon

STANDIN = [sys.executable, fakedaemon.__file__]


# A client as a process: connects, starting the stand-in when nobody answers, says hello and prints the daemon's pid.
CLIENT = """
import sys
from agentgw.local.connect import connect_client
from agentgw.local.paths import Paths
with connect_client(Paths(), command=sys.argv[1:]) as client:
    print(client.daemon["pid"])
"""


def standin(paths: Paths, *flags: str) -> list[str]:
    """The stand-in's command line; it holds the lock as the daemon does and records its start."""
    return [*STANDIN, "--lock", paths.lock_file, "--record", record_of(paths), *flags]


def record_of(paths: Paths) -> str:
    return f"{paths.data_dir}/starts"


def starts(paths: Paths) -> list[dict[str, Any]]:
    """The record that each stand-in made at its start."""
    return [json.loads(line) for line in Path(record_of(paths)).read_text().splitlines()]


def client_process(paths: Paths, *flags: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-S", "-c", CLIENT, *standin(paths, *flags)]
    root = str(Path(spawn.__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root}
    return subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, **options
    )


def is_alive(pid: int) -> bool:
    """A zombie is not: whoever adopted it may not have looked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
