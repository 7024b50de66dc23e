"""Role `bulk`: the vectors of many texts, by whichever engine is faster."""

from __future__ import annotations

from agentgw_daemon.workers.retrieval.embedding.encoders import BulkEncoders, answer_bulk
from agentgw_daemon.workers.retrieval.handlers import Handlers


def add_to(handlers: Handlers) -> None:
    """Adds the requests that this role answers."""
    answer_bulk(handlers, BulkEncoders())
