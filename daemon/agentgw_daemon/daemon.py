"""The daemon as its connections see it: the services, and what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.schema import record

if TYPE_CHECKING:
    from agentgw_daemon.control import Control
    from agentgw_daemon.knowledge.ingest import Ingest
    from agentgw_daemon.knowledge.reembedding import Reembedding
    from agentgw_daemon.knowledge.watching import Watching
    from agentgw_daemon.listener import Listener
    from agentgw_daemon.services import Services
    from agentgw_daemon.turns import Turns


@record
class Daemon:
    """Complete when it is made, before the first connection."""

    services: Services
    turns: Turns
    ingest: Ingest
    watching: Watching
    reembedding: Reembedding
    control: Control
    listener: Listener
