"""`agentgw history`: the same as `agentgw sessions show`."""

from __future__ import annotations

from agentgw.cli.commands.sessions import configure_show as configure
from agentgw.cli.commands.sessions import show as run

__all__ = ["configure", "run"]
