"""Parts of a daemon that do no more than the tests above them need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

import trio

from agentgw.protocol.errors import ModelUnavailable
from agentgw.protocol.events import TurnNotice
from agentgw_daemon.approvals.queue import ApprovalQueue
from agentgw_daemon.config.settings import Settings
from agentgw_daemon.events.hub import EventHub
from agentgw_daemon.inference.engine import Engine
from agentgw_daemon.inference.hosting.pool import Pool
from agentgw_daemon.inference.spec import ModelSpec
from agentgw_daemon.models.registry import Registry
from agentgw_daemon.server.calls.request import RequestContext
from agentgw_daemon.server.calls.sinks import JSON_RPC, EncodedEvents
from agentgw_daemon.services import Services
from agentgw_daemon.skills.projects import Projects
from agentgw_daemon.skills.skill_set import SkillSet
from agentgw_daemon.storage.database import Database
from agentgw_daemon.text.secrets import Secrets
from agentgw_daemon.tools.builtins.delegate import NAME
from agentgw_daemon.tools.catalogue import Catalogue
from agentgw_daemon.tools.tool import RunnableTool
from agentgw_daemon.turns.manager import Turns


class FakeProjects(Projects):
    """The same skills everywhere."""

    def __init__(self, skills: Callable[[], SkillSet]) -> None:
        self._skills = skills

    async def skill_set(self, cwd: str | None) -> SkillSet:
        return self._skills()


class FakeModels(Registry):
    """Every model there is, but for one of the name `missing`."""

    def __init__(self, *, default: str = "fake", kind: Literal["builtin", "file", "provider"] = "file") -> None:
        self._default_name = default
        self._kind = kind
        self.missing = ModelUnavailable("no model missing", model="missing")

    async def resolve_to_answer(self, text: str | None) -> ModelSpec:
        if text == "missing":
            raise self.missing
        return ModelSpec(name=text or self._default_name, kind=self._kind)


class FakePool(Pool):
    """One engine for every model."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def engine(self, spec: ModelSpec) -> Engine:
        return self._engine


class FakeCatalogue(Catalogue):
    """The tools that the test says, all there at once; servers never say what they offer."""

    def __init__(self, found: Callable[[], Mapping[str, RunnableTool]]) -> None:
        self._found = found
        # Prefixes of names that a server may yet have tools of.
        self.silent: tuple[str, ...] = ()

    @property
    def current(self) -> Mapping[str, Any]:
        # That one is there in every house; a turn gets its own or none.
        return {NAME: None, **self._found()}

    async def tools(self, *_: object) -> Mapping[str, RunnableTool]:
        await trio.lowlevel.checkpoint()
        return self._found()

    async def look(self) -> None:
        await trio.lowlevel.checkpoint()

    async def wait_for(self, *_: object) -> None:
        await trio.lowlevel.checkpoint()

    def absence(self, name: str) -> str:
        return "the MCP server is starting" if self.silent and name.startswith(self.silent) else ""


@dataclass
class FakePaths:
    """No place at all."""

    directories: tuple[str, ...] = ()
    kv_dir: str = ""


@dataclass
class FakeStarted:
    """A daemon's start, as far as calls of tools look at it."""

    environ: dict[str, str] = field(default_factory=lambda: {"HOME": "/"})
    instance: str = "test"
    paths: FakePaths = field(default_factory=FakePaths)


@dataclass(kw_only=True)
class FakeServices:
    """Services that a test can change in the middle."""

    database: Database
    hub: EventHub
    projects: Projects
    models: Registry
    pool: Pool
    tools: Catalogue
    knowledge: Any
    approvals: ApprovalQueue
    started: FakeStarted = field(default_factory=FakeStarted)
    settings: Settings = field(default_factory=Settings)
    notices: list[TurnNotice] = field(default_factory=list)
    secrets: Secrets = field(default_factory=Secrets)
    stopping: str = ""

    check_serving = Services.check_serving


@dataclass(kw_only=True)
class ConnectionServices:
    """Parts of the services that a connection without methods of the daemon's looks at."""

    settings: Settings
    hub: EventHub = field(default_factory=EventHub)
    secrets: Secrets = field(default_factory=Secrets)


@dataclass(kw_only=True)
class FakeDaemon:
    """The services, and what handlers of turns need beside them."""

    services: Any
    turns: Turns | None = None


class FakeOutbox:
    """Frames that were put out."""

    def __init__(self) -> None:
        self.frames = b""

    async def put(self, frames: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.frames += frames


def request_to(services: Any, turns: Turns | None = None, outbox: FakeOutbox | None = None) -> RequestContext:
    """The context in which a handler answers a call to these services."""
    sink = EncodedEvents(JSON_RPC, outbox or FakeOutbox())
    return RequestContext(FakeDaemon(services=services, turns=turns), sink, ExitStack())
