"""A daemon's parts in this process, with an engine that follows a script."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from agentgw.protocol.calls.turns import TurnResult, TurnStartParams
from agentgw.protocol.types import Chunk, Timings, Usage
from agentgw_daemon.approvals.queue import ApprovalQueue
from agentgw_daemon.config.load import Config
from agentgw_daemon.config.settings import Settings
from agentgw_daemon.events.hub import EventHub
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.inference.engine import (
    EngineEvent,
    Finished,
    GenerationRequest,
    Loading,
    Prefill,
    PromptCount,
    PromptMessage,
    Queued,
    TextDelta,
    ToolCallingMode,
    as_mapping,
)
from agentgw_daemon.knowledge.search.search import SearchFindings
from agentgw_daemon.skills.model import LoadedSkill
from agentgw_daemon.skills.skill_set import SkillSet
from agentgw_daemon.storage.database import Database
from agentgw_daemon.tools.tool import RunnableTool
from agentgw_daemon.turns.manager import Turns
from tests.fakes import FakeCatalogue, FakeModels, FakePool, FakeProjects, services_with
from tests.patience import PATIENCE_S

Script = Callable[[GenerationRequest], AsyncIterator[EngineEvent]]


def finished(tokens: int = 2) -> Finished:
    return Finished(
        finish_reason="stop", usage=Usage(prompt_tokens=5, completion_tokens=tokens), timings=Timings(prefill_ms=1.5),
        prompt_sha256="ab", engine="fake", model_sha256="cd",
    )  # fmt: skip


async def answer(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
    yield Queued(position=1)
    yield Loading()
    yield Prefill(done=5, total=5)
    yield TextDelta(texts=("Hello", " there"))
    yield finished()


class FakeEngine:
    """Speaks a script; counts a word as a token."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[GenerationRequest] = []
        self.mode = ToolCallingMode()

    async def tool_calling(self) -> ToolCallingMode:
        return self.mode

    async def count(self, messages: Sequence[PromptMessage], tools: Sequence[Any] = ()) -> PromptCount:
        shown = [f"<tool>{tool['function']['name']}" for tool in tools]
        text = "\n".join((*shown, *(f"<{one['role']}>{one['content']}" for one in map(as_mapping, messages))))
        return PromptCount(tokens=len(text.split()), n_ctx_tokens=4096, text=text)

    @asynccontextmanager
    async def stream(self, request: GenerationRequest) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        self.requests.append(request)
        events = self.script(request)
        try:
            yield events
        finally:
            await events.aclose()  # type: ignore[attr-defined]  # scripts are generators


class Papers:
    """The documents: what was found is what the test says, and how it was asked for is kept."""

    def __init__(self) -> None:
        self.chunks: tuple[Chunk, ...] = ()
        self.asked: list[tuple[str, int | None, Sequence[str], Sequence[str]]] = []

    async def is_empty(self) -> bool:
        return not self.chunks

    async def find(
        self, query: str, *, k: int | None = None, skills: Sequence[str] = (), tags: Sequence[str] = (),
        demanding: bool = True,
    ) -> SearchFindings:  # fmt: skip
        await trio.lowlevel.checkpoint()
        self.asked.append((query, k, skills, tags))
        return SearchFindings(chunks=self.chunks[:k])

    async def search(self, query: str, **how: Any) -> tuple[Chunk, ...]:
        return (await self.find(query, **how)).chunks


class House:
    """Turns and what they need."""

    def __init__(self, database: Database, engine: FakeEngine, nursery: trio.Nursery) -> None:
        self.engine = engine
        self.database = database
        self.nursery = nursery
        general = LoadedSkill(
            name="general-assistant", description="Answers.", tier="shipped", path="", instructions="Be good.",
            temperature=0.3,
        )  # fmt: skip
        self.skills = {general.name: general}
        self.tools: dict[str, RunnableTool] = {}

        self.papers = Papers()
        hub = EventHub()
        self.services = services_with(
            database=database, hub=hub, projects=FakeProjects(lambda: SkillSet(skills=self.skills)),
            models=FakeModels(), pool=FakePool(engine), tools=FakeCatalogue(lambda: self.tools),
            knowledge=self.papers, approvals=ApprovalQueue(database, hub),
        )  # fmt: skip
        self.turns = Turns(self.services, nursery)

    def configure(self, settings: Settings) -> None:
        """The settings from now on."""
        self.services.current.config = Config(settings=settings, origins=())

    def add_skill(self, name: str, **fields: Any) -> None:
        """One more skill."""
        self.skills[name] = LoadedSkill(
            name=name, description=name, tier="user", path="", instructions=f"Be {name}.", **fields
        )

    async def start(self, message: str = "hi", **params: Any) -> TurnState:
        turn = await self.turns.start(TurnStartParams(message=message, **params))
        assert isinstance(turn, TurnState)
        return turn

    async def ask(self, message: str = "hi", **params: Any) -> TurnResult:
        return await ended(await self.start(message, **params))


async def ended(turn: TurnState) -> TurnResult:
    """The result of a turn, once it has one."""
    outcome = await turn.wait_outcome()
    assert isinstance(outcome, TurnResult), outcome
    return outcome


@asynccontextmanager
async def house(folder: Path, script: Script = answer) -> AsyncIterator[House]:
    with trio.fail_after(PATIENCE_S):
        async with Database.open(folder) as database, trio.open_nursery() as nursery:
            yield House(database, FakeEngine(script), nursery)
