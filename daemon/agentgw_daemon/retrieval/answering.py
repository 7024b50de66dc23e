"""Role `search`: the vectors of queries, and the vector index. Never imports torch, unless an embedder has no twin."""

from __future__ import annotations

from agentgw_daemon.inference.memory import keep_little
from agentgw_daemon.retrieval.encoders import LightEncoders, answer_queries
from agentgw_daemon.retrieval.table import Table


def add_to(table: Table) -> None:
    """What this role answers."""
    keep_little()
    answer_queries(table, LightEncoders())
