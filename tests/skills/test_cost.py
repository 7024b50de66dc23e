"""`skill.cost` over a real connection: skills on disk, an engine of the test's making."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
import trio

from agentgw.protocol.calls.skills import SkillCostParams, SkillCosts
from agentgw.protocol.errors import ModelUnavailable, WorkerDied
from agentgw.protocol.types import ChatMessage, Timings, Usage
from agentgw_daemon.inference.engine import (
    UNLIMITED_TOKENS,
    EngineEvent,
    Finished,
    GenerationRequest,
    PromptCount,
    TextDelta,
)
from agentgw_daemon.server.calls.request import RequestContext
from agentgw_daemon.server.handlers import skill
from agentgw_daemon.skills.library import Library
from tests.fakes import FakeModels, FakePool, FakeProjects, request_to, services_with
from tests.server.harness import RawClient, connected
from tests.skills.folders import with_metadata, write_skill

pytestmark = pytest.mark.anyio


class Machine:
    """An engine that remembers the last prompt it read, unless it was read fresh with several slots.

    A word is a token, and a token takes 10 ms.
    """

    def __init__(self, *, slots: int = 1, n_ctx_tokens: int = 100) -> None:
        self.requests: list[GenerationRequest] = []
        self.reading = trio.Event()
        self.left = trio.Event()
        self.hangs = False
        self.dies_of = ""
        self._slots = slots
        self._n_ctx_tokens = n_ctx_tokens
        self._cached: tuple[ChatMessage, ...] = ()

    async def count(self, messages: Sequence[ChatMessage], tools: object = ()) -> PromptCount:
        tokens = _tokens(messages)
        unlimited = self._n_ctx_tokens == UNLIMITED_TOKENS
        return PromptCount(tokens=tokens, n_ctx_tokens=self._n_ctx_tokens, text="", estimated=unlimited)

    @asynccontextmanager
    async def stream(self, request: GenerationRequest) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        self.requests.append(request)
        events = self._read(request)
        try:
            yield events
        finally:
            await events.aclose()  # type: ignore[attr-defined]  # a generator
            self.left.set()

    async def _read(self, request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        self.reading.set()
        if self.hangs:
            await trio.sleep_forever()
        if self.dies_of and self.dies_of in request.messages[0].content:
            raise WorkerDied("the model worker was killed", hint="see the log")
        tokens = _tokens(request.messages)
        cached = tokens - 1 if request.messages == self._cached and not request.recompute else 0
        self._cached = () if request.recompute and self._slots > 1 else request.messages
        yield TextDelta(texts=("a",))
        yield Finished(
            finish_reason="length", usage=Usage(prompt_tokens=tokens, cached_tokens=cached, completion_tokens=1),
            timings=Timings(
                queue_ms=500.0, load_ms=1000.0, prefill_ms=10.0 * (tokens - cached), first_token_ms=1500.0 + 10 * tokens
            ),
        )  # fmt: skip


def _tokens(messages: Sequence[ChatMessage]) -> int:
    return sum(1 + len(message.content.split()) for message in messages)


@asynccontextmanager
async def asked(
    folder: Path, machine: Machine, *, kind: Literal["file", "provider"] = "file", stopping: str = ""
) -> AsyncIterator[RawClient]:
    """A client of a daemon whose skills are in `folder` and whose every model is the machine, but for `missing`."""

    models = FakeModels(default="default", kind=kind)
    models.missing = ModelUnavailable("missing is not pulled", hint="run `agentgw pull missing`", model="missing")
    library = Library([("user", folder)])
    library.reload()
    projects = FakeProjects(lambda: library.skill_set)
    services = services_with(projects=projects, models=models, pool=FakePool(machine))
    services.current.stopping = stopping

    async def cost(request: RequestContext, params: SkillCostParams) -> SkillCosts:
        return await skill.cost(request_to(services), params)

    async with connected({"skill.cost": cost}) as client:
        yield client


async def test_a_skill_is_read_cold_and_then_from_the_cache(tmp_path: Path) -> None:
    write_skill(tmp_path, "mine", body="one two three\n")
    machine = Machine()
    async with asked(tmp_path, machine) as client:
        (cost,) = (await client.ask("skill.cost"))["result"]["skills"]
    assert cost == {
        "name": "mine", "model": "default", "tokens": 3, "share": 0.03, "prompt_tokens": 6, "cold_ms": 60.0,
        "warm_ms": 10.0, "cached_tokens": 5, "first_token_ms": 60.0,
    }  # fmt: skip
    assert [request.recompute for request in machine.requests] == [True, False]
    assert {(request.options.max_tokens, request.options.temperature) for request in machine.requests} == {(1, 0.0)}


async def test_a_worker_of_several_slots_is_warmed_before_it_is_timed_warm(tmp_path: Path) -> None:
    write_skill(tmp_path, "mine", body="one two three\n")
    machine = Machine(slots=2)
    async with asked(tmp_path, machine) as client:
        (cost,) = (await client.ask("skill.cost"))["result"]["skills"]
    assert (cost["cold_ms"], cost["warm_ms"], cost["cached_tokens"]) == (60.0, 10.0, 5)
    assert [request.recompute for request in machine.requests] == [True, False, False]


async def test_what_cannot_be_measured_says_why_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    write_skill(tmp_path, "good")
    write_skill(tmp_path, "lethal", body="poison\n")
    write_skill(tmp_path, "poor", front=with_metadata("poor", "agentgw-model: missing"))
    write_skill(tmp_path, "well")
    machine = Machine()
    machine.dies_of = "poison"
    async with asked(tmp_path, machine) as client:
        costs = {cost["name"]: cost for cost in (await client.ask("skill.cost"))["result"]["skills"]}
    assert list(costs) == ["bad", "good", "lethal", "poor", "well"]
    assert "SKILL.md" in costs["bad"]["error"]
    assert costs["poor"] == {"name": "poor", "error": "missing is not pulled. run `agentgw pull missing`"}
    assert costs["lethal"]["error"] == "the model worker was killed. see the log"
    assert costs["lethal"]["tokens"] == 1
    assert costs["good"]["cold_ms"] == costs["well"]["cold_ms"] > 0


async def test_one_skill_is_measured_alone_and_an_unknown_one_is_not_found(tmp_path: Path) -> None:
    for name in ("one-skill", "other"):
        write_skill(tmp_path, name)
    machine = Machine()
    async with asked(tmp_path, machine) as client:
        reply = await client.ask("skill.cost", name="one_skill")
        assert [cost["name"] for cost in reply["result"]["skills"]] == ["one-skill"]
        assert len(machine.requests) == 2
        assert (await client.ask("skill.cost", name="othre"))["error"]["data"]["hint"] == "did you mean other?"


async def test_an_endpoint_is_estimated_and_sent_nothing(tmp_path: Path) -> None:
    write_skill(tmp_path, "mine", body="one two three\n")
    machine = Machine(n_ctx_tokens=UNLIMITED_TOKENS)
    async with asked(tmp_path, machine, kind="provider") as client:
        (cost,) = (await client.ask("skill.cost"))["result"]["skills"]
    assert cost == {"name": "mine", "model": "default", "tokens": 3, "prompt_tokens": 6, "estimated": True}
    assert machine.requests == []


async def test_a_client_that_leaves_cancels_the_measurement(tmp_path: Path) -> None:
    write_skill(tmp_path, "mine")
    machine = Machine()
    machine.hangs = True
    async with asked(tmp_path, machine) as client:
        await client.send({"jsonrpc": "2.0", "id": 1, "method": "skill.cost"})
        await machine.reading.wait()
        await client.stream.aclose()
        await machine.left.wait()


async def test_nothing_is_measured_while_the_daemon_stops(tmp_path: Path) -> None:
    write_skill(tmp_path, "mine")
    machine = Machine()
    async with asked(tmp_path, machine, stopping="SIGTERM") as client:
        assert (await client.ask("skill.cost"))["error"]["code"] == -32011
    assert machine.requests == []
