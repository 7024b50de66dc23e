"""The daemon as its connections see it: the services, and what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.protocol.records.schema import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentgw.protocol.calls.daemon import HttpStatus
    from agentgw.protocol.calls.web import SignInLink
    from agentgw_daemon.knowledge.ingest.ingest import Ingest
    from agentgw_daemon.knowledge.ingest.watching import Watching
    from agentgw_daemon.knowledge.reembedding import Reembedder
    from agentgw_daemon.notifications.approval_notices import ApprovalNotices
    from agentgw_daemon.scheduler.jobs import Jobs
    from agentgw_daemon.server.control import Control
    from agentgw_daemon.server.listener import Listener
    from agentgw_daemon.services import Services
    from agentgw_daemon.turns.manager import Turns
    from agentgw_daemon.webhooks.webhooks import Webhooks


@record
class Daemon:
    """The daemon as its connections see it; complete when it is made, before the first connection."""

    services: Services
    turns: Turns
    jobs: Jobs
    ingest: Ingest
    watching: Watching
    reembedding: Reembedder
    webhooks: Webhooks
    notices: ApprovalNotices
    control: Control
    listener: Listener
    # The sockets of HTTP, if it is spoken.
    http: HttpStatus | None
    # Makes a link that signs a browser in once, where there is a door that browsers can come by.
    make_sign_in: Callable[[], SignInLink] | None
