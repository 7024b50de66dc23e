"""Role `bulk`: the vectors of many texts, by whichever engine is faster."""

from __future__ import annotations

from agentgw_daemon.retrieval.encoders import BulkEncoders, answer_bulk
from agentgw_daemon.retrieval.table import Table


def add_to(table: Table) -> None:
    """What this role answers."""
    answer_bulk(table, BulkEncoders())
