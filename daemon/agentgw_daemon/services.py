"""What handlers and turns share: one record of the daemon's parts, made by `app` and handed down."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentgw.events import TurnNotice
    from agentgw_daemon.approvals.desk import Desk
    from agentgw_daemon.config import Config
    from agentgw_daemon.control import Control
    from agentgw_daemon.hub import Hub
    from agentgw_daemon.inference.pool import Pool
    from agentgw_daemon.knowledge.ingest import Ingest
    from agentgw_daemon.knowledge.reembedding import Reembedding
    from agentgw_daemon.knowledge.search import Knowledge
    from agentgw_daemon.knowledge.watching import Watching
    from agentgw_daemon.listener import Listener
    from agentgw_daemon.models.registry import Registry
    from agentgw_daemon.retrieval.pool import Retrieval
    from agentgw_daemon.settings import Settings
    from agentgw_daemon.skills.library import Library
    from agentgw_daemon.skills.projects import Projects
    from agentgw_daemon.started import Started
    from agentgw_daemon.storage.database import Database
    from agentgw_daemon.tools.catalogue import Catalogue
    from agentgw_daemon.turns import Turns


class Services:
    """The parts. `config` is replaced by a reload; everything else lives as long as the daemon.

    A connection and a running turn keep the settings they started with.
    """

    __slots__ = (
        "approvals", "config", "control", "database", "hub", "ingest", "knowledge", "listener", "models", "notices",
        "pool", "projects", "reembedding", "retrieval", "secrets", "skills", "started", "stopping", "tools", "turns",
        "watching",
    )  # fmt: skip

    def __init__(
        self, *, started: Started, config: Config, database: Database, models: Registry, skills: Library, pool: Pool,
        projects: Projects, retrieval: Retrieval, hub: Hub, tools: Catalogue, approvals: Desk,
        notices: list[TurnNotice],
    ) -> None:  # fmt: skip
        self.started = started
        # Parts that hold keys add them.
        self.secrets = started.secrets
        self.config = config
        self.database = database
        self.models = models
        self.skills = skills
        self.projects = projects
        self.pool = pool
        self.retrieval = retrieval
        self.hub = hub
        self.tools = tools
        self.approvals = approvals
        # For the next turn that somebody watches: what happened while nobody did.
        self.notices = notices
        self.stopping = False
        self.turns: Turns
        self.listener: Listener
        self.control: Control
        self.ingest: Ingest
        self.knowledge: Knowledge
        self.watching: Watching
        self.reembedding: Reembedding

    @property
    def settings(self) -> Settings:
        """The settings in force now."""
        return self.config.settings
