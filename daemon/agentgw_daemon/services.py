"""Services that handlers and turns share: one record of the parts below them, made by `app` and handed down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.protocol.errors import ShuttingDown
from agentgw.protocol.records.schema import record

if TYPE_CHECKING:
    from agentgw.protocol.events import TurnNotice
    from agentgw_daemon.approvals.queue import ApprovalQueue
    from agentgw_daemon.config.load import Config
    from agentgw_daemon.config.settings import Settings
    from agentgw_daemon.events.hub import EventHub
    from agentgw_daemon.inference.pool import Pool
    from agentgw_daemon.knowledge.search.search import Knowledge
    from agentgw_daemon.lifecycle.started import Started
    from agentgw_daemon.models.registry import Registry
    from agentgw_daemon.retrieval.pool import Retrieval
    from agentgw_daemon.skills.library import Library
    from agentgw_daemon.skills.projects import Projects
    from agentgw_daemon.storage.database import Database
    from agentgw_daemon.text.secrets import Secrets
    from agentgw_daemon.tools.catalogue import Catalogue


class Current:
    """Values that change while the daemon runs. A connection and a running turn keep the settings they started
    with.
    """

    __slots__ = ("config", "notices", "stopping")

    def __init__(self, config: Config) -> None:
        # Replaced by a reload.
        self.config = config
        # For the next turn that somebody watches: what happened while nobody did.
        self.notices: list[TurnNotice] = []
        # Reason why the daemon stops; empty while it serves.
        self.stopping = ""


@record
class Services:
    """The parts, which live as long as the daemon. Complete when it is made."""

    started: Started
    current: Current
    database: Database
    models: Registry
    skills: Library
    projects: Projects
    pool: Pool
    retrieval: Retrieval
    knowledge: Knowledge
    hub: EventHub
    tools: Catalogue
    approvals: ApprovalQueue

    @property
    def config(self) -> Config:
        """The configuration in force now."""
        return self.current.config

    @property
    def settings(self) -> Settings:
        """The settings in force now."""
        return self.current.config.settings

    @property
    def notices(self) -> list[TurnNotice]:
        """See Current."""
        return self.current.notices

    @property
    def stopping(self) -> str:
        """The reason for taking no new work any more; empty while the daemon serves."""
        return self.current.stopping

    def check_serving(self) -> None:
        """Raise ShuttingDown, with the reason, once no new work is taken any more."""
        if self.stopping:
            raise ShuttingDown(f"the daemon is stopping: {self.stopping}", hint="try again in a moment")

    @property
    def secrets(self) -> Secrets:
        """The keys that are never shown. Parts that hold keys add them."""
        return self.started.secrets
