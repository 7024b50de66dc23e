"""Role `search`: the vectors of queries, and the vector index. Never imports torch, unless an embedder has no GGUF."""

from __future__ import annotations

from agentgw_daemon.system.memory import keep_little
from agentgw_daemon.workers.retrieval.embedding.encoders import LightEncoders, answer_queries
from agentgw_daemon.workers.retrieval.handlers import Handlers


def add_to(handlers: Handlers) -> None:
    """Adds the requests that this role answers."""
    keep_little()
    answer_queries(handlers, LightEncoders())
