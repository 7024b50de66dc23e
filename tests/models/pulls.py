"""A puller with a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path

import trio

from agentgw_daemon.models.fetching.pull import Puller
from agentgw_daemon.models.files.preflight import Preflight
from agentgw_daemon.models.files.store import ModelFolder
from agentgw_daemon.models.names.reference import HubRef, parse


class Pulls:
    """A puller and what its callers saw."""

    def __init__(self, folder: Path, environ: dict[str, str] | None = None) -> None:
        self.store = ModelFolder(folder)
        self.store.prepare()
        self.preflight = Preflight(self.store.known_file, os.environ, "test")
        self.puller = Puller(self.store, self.preflight, environ or {}, pauses_s=(0.0, 0.0))
        self.seen: list[int] = []
        self.halfway = trio.Event()

    async def progress(self, done_bytes: int, total_bytes: int) -> None:
        self.seen.append(done_bytes)
        if done_bytes >= total_bytes // 2:
            self.halfway.set()

    async def hub(self, url: str, text: str = "hf:o/r") -> str:
        ref = parse(text)
        assert isinstance(ref, HubRef)
        return await self.puller.hub(url, ref, self.progress)
