"""Parts of a daemon that do no more than the tests above them need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Literal, TypeVar

import trio

from agentgw.local.paths import Paths
from agentgw.protocol.errors import ModelUnavailable
from agentgw_daemon.config.load import Config
from agentgw_daemon.config.settings import Settings
from agentgw_daemon.inference.engine import Engine
from agentgw_daemon.inference.pool import Pool
from agentgw_daemon.inference.spec import ModelSpec
from agentgw_daemon.lifecycle.started import Started
from agentgw_daemon.models.registry import Registry
from agentgw_daemon.server.calls.request import RequestContext
from agentgw_daemon.server.calls.sinks import JSON_RPC, EncodedEvents
from agentgw_daemon.server.daemon import Daemon
from agentgw_daemon.services import Current, Services
from agentgw_daemon.skills.projects import Projects
from agentgw_daemon.skills.skill_set import SkillSet
from agentgw_daemon.text.secrets import Secrets
from agentgw_daemon.tools.builtins.delegate import NAME
from agentgw_daemon.tools.catalogue import Catalogue
from agentgw_daemon.tools.tool import RunnableTool
from agentgw_daemon.turns.manager import Turns

T = TypeVar("T")


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
    def current(self) -> Mapping[str, Any]:  # type: ignore[override]  # the test may change it at any time
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


class FakePaths(Paths):
    """No place at all, but for a configuration if the test has one."""

    directories: tuple[str, ...] = ()
    kv_dir: str = ""
    config_file: str = ""

    def __init__(self, config_file: str = "") -> None:
        self.config_file = config_file


def part_of(kind: type[T], **parts: Any) -> T:
    """A record, or another part of the daemon, of which only this is there: more is an AttributeError."""
    made = kind.__new__(kind)
    change(made, **parts)
    return made


def change(whole: object, **parts: Any) -> None:
    """Put other parts into a record, which is frozen for everybody but a test."""
    for name, part in parts.items():
        assert hasattr(type(whole), name), f"{type(whole).__name__} has no {name}"
        object.__setattr__(whole, name, part)


def services_with(settings: Settings | None = None, secrets: Secrets | None = None, **parts: Any) -> Services:
    """Services that have these parts only, of a daemon without a place."""
    started = part_of(
        Started, environ={"HOME": "/"}, instance="test", paths=FakePaths(), secrets=secrets or Secrets()
    )  # fmt: skip
    current = Current(Config(settings=settings or Settings(), origins=()))
    return part_of(Services, started=started, current=current, **parts)


class FakeOutbox:
    """Frames that were put out."""

    def __init__(self) -> None:
        self.frames = b""

    async def put(self, frame: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.frames += frame

    def offer(self, frame: bytes) -> None:
        self.frames += frame


def request_to(services: Services, turns: Turns | None = None, outbox: FakeOutbox | None = None) -> RequestContext:
    """The context in which a handler answers a call to a daemon with these services and turns."""
    daemon = part_of(Daemon, services=services, **({"turns": turns} if turns else {}))
    return RequestContext(daemon, EncodedEvents(JSON_RPC, outbox or FakeOutbox()), ExitStack())
