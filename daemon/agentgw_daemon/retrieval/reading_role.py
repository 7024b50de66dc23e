"""Role `read`: documents, from a path to chunks."""

from __future__ import annotations

from agentgw_daemon.retrieval.table import Table


def add_to(table: Table) -> None:
    """What this role answers."""
