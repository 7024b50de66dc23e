"""Settings of retrieval workers: the values that configuration hands to the daemon's side."""

from __future__ import annotations

import sys
from typing import Final

from agentgw.protocol.records.schema import record

# -P: the directory the daemon happens to stand in must not lend modules to its children.
WORKER_COMMAND: Final = (sys.executable, "-P", "-m", "agentgw_daemon.workers.retrieval.worker")


@record
class RetrievalSettings:
    """The limits of supervision. The command gets the role as its last word."""

    # Seconds without a request after which a worker ends; negative: never.
    keep_alive_s: float = 300.0
    # The same of the worker for many texts at most: torch holds 700 MB, and llama.cpp begins without it.
    bulk_keep_alive_s: float = 60.0
    # From exec to Ready: the imports of the light engine; torch is imported on the first request that needs it.
    start_timeout_s: float = 30.0
    # A busy worker speaks every 5 s (Heartbeat); this is six of them missed.
    heartbeat_timeout_s: float = 30.0
    # One request that is not a document: a batch of texts, a search, a step of building an index.
    request_timeout_s: float = 300.0
    # One document, as a person waits for it; the worker limits its own processor time to less.
    read_timeout_s: float = 120.0
    cancel_timeout_s: float = 5.0
    stop_timeout_s: float = 2.0
    restart_backoff_s: float = 0.5
    max_queue: int = 256
    # Resident bytes at which a worker is killed, by role; 0: no cap. A large index, a large torch model, a large book.
    search_cap_bytes: int = 4 << 30
    bulk_cap_bytes: int = 8 << 30
    read_cap_bytes: int = 2 << 30
    command: tuple[str, ...] = WORKER_COMMAND

    def idle_s(self, role: str) -> float:
        """Seconds that an idle worker of a role stays; negative: for ever."""
        if role != "bulk":
            return self.keep_alive_s
        return self.bulk_keep_alive_s if self.keep_alive_s < 0 else min(self.keep_alive_s, self.bulk_keep_alive_s)

    def cap_bytes(self, role: str) -> int:
        """The cap of a role."""
        return {"search": self.search_cap_bytes, "bulk": self.bulk_cap_bytes, "read": self.read_cap_bytes}[role]
