"""`agentgw history`: the same as `agentgw sessions show`."""

from __future__ import annotations

from agentgw.cli.commands import sessions

configure = sessions.configure_show
run = sessions.show
