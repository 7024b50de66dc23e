"""Words first, the model where it is asked, and the words again whatever happens to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from agentgw.protocol.errors import ModelUnavailable, RpcError, WorkerDied
from agentgw.protocol.types import Timings, Usage
from agentgw_daemon.config.settings import Settings
from agentgw_daemon.inference.engine import EngineEvent, Finished, GenerationRequest, TextDelta, ToolCallingMode
from agentgw_daemon.inference.spec import ModelSpec
from agentgw_daemon.skills.model import LoadedSkill
from agentgw_daemon.skills.routing import choose, route
from agentgw_daemon.skills.skill_set import SkillSet

pytestmark = pytest.mark.anyio


def skill(name: str, description: str) -> LoadedSkill:
    return LoadedSkill(name=name, description=description, tier="user", path="x", instructions="x")


SKILLS = (skill("a-gardener", "Plants roses."), skill("cook", "Soups."), skill("general-assistant", "Anything."))


class Daemon:
    """The skills, and a model that gives `texts`, fails with `error`, or says nothing at all for None."""

    def __init__(
        self, texts: Sequence[str] | None = (), *, by: str = "model", error: RpcError | None = None,
        missing: RpcError | None = None, tool_calling: ToolCallingMode | None = None,
        skills: Sequence[LoadedSkill] = SKILLS,
    ) -> None:  # fmt: skip
        self.requests: list[GenerationRequest] = []
        self.skill_set = SkillSet(skills={skill.name: skill for skill in skills})
        self._texts, self._error, self._missing, self._tool_calling = texts, error, missing, tool_calling
        self.parts: dict[str, Any] = {"by": by, "models": self, "pool": self}

    async def resolve_to_answer(self, ref: str | None) -> ModelSpec:
        if self._missing is not None:
            raise self._missing
        return ModelSpec(name="fake", kind="file")

    async def engine(self, spec: Any) -> Daemon:
        return self

    async def tool_calling(self) -> ToolCallingMode | None:
        return self._tool_calling

    @asynccontextmanager
    async def stream(self, request: GenerationRequest) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        self.requests.append(request)
        events = self._events()
        try:
            yield events
        finally:
            await events.aclose()  # type: ignore[attr-defined]  # a generator

    async def _events(self) -> AsyncIterator[EngineEvent]:
        if self._error is not None:
            raise self._error
        if self._texts is None:
            await trio.sleep_forever()
        for text in self._texts or ():
            yield TextDelta(texts=(text,))
        yield Finished(finish_reason="stop", usage=Usage(), timings=Timings())

    async def first(self, message: str) -> tuple[str, str]:
        best = (await route(message, self.skill_set, **self.parts))[0]
        return best.name, best.reason


async def test_clear_words_ask_no_model() -> None:
    daemon = Daemon(['"cook"'])
    assert await daemon.first("plant a rose") == ("a-gardener", "words: plant, rose")
    assert daemon.requests == []


async def test_by_words_alone_unclear_ones_take_the_general_assistant() -> None:
    daemon = Daemon(['"cook"'], by="words")
    assert await daemon.first("12?") == ("general-assistant", "words: none of any skill")
    assert await daemon.first("roses in soup") == ("general-assistant", "words: no skill stands out")
    assert daemon.requests == []


@pytest.mark.parametrize(
    ("tool_calling", "wanted"),
    [
        (ToolCallingMode(), ("cook", "chosen by fake")),
        (ToolCallingMode(narrow=True), ("general-assistant", "words: none of any skill")),
        (None, ("general-assistant", "words: none of any skill")),
    ],
)
async def test_left_alone_only_a_model_that_can_choose_is_asked(
    tool_calling: ToolCallingMode | None, wanted: tuple[str, str]
) -> None:
    by = Settings().agent.route_by
    assert by == "auto"
    daemon = Daemon(['"cook"'], by=by, tool_calling=tool_calling)
    assert await daemon.first("12?") == wanted
    assert bool(daemon.requests) is (wanted[0] == "cook")


async def test_where_words_are_unclear_the_model_names_one_of_the_skills() -> None:
    daemon = Daemon(['"co', 'ok"'])
    assert await daemon.first("12?") == ("cook", "chosen by fake")
    (request,) = daemon.requests
    assert request.schema == {"type": "string", "enum": ["a-gardener", "cook", "general-assistant"]}
    assert request.options.temperature == 0.0
    assert request.options.max_tokens is not None
    assert "Plants roses." in request.messages[0].content
    ranked = await route("12?", daemon.skill_set, **daemon.parts)
    assert [match.name for match in ranked] == ["cook", "a-gardener", "general-assistant"]


@pytest.mark.parametrize("texts", [("cook",), ('"cook',), ('"pirate"',), ("[1]",), ()])
async def test_an_answer_that_is_no_skill_leaves_it_to_the_words(texts: tuple[str, ...]) -> None:
    assert await Daemon(texts).first("12?") == ("general-assistant", "words: none of any skill; fake named none")


async def test_a_model_that_fails_or_is_not_there_leaves_it_to_the_words() -> None:
    died, missing = Daemon(error=WorkerDied("dead")), Daemon(missing=ModelUnavailable("none", model="x"))
    assert await died.first("12?") == ("general-assistant", "words: none of any skill; fake failed")
    assert await missing.first("12?") == ("general-assistant", "words: none of any skill; no model to ask")


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})])
async def test_a_model_that_takes_too_long_leaves_it_to_the_words() -> None:
    began = trio.current_time()
    reason = "words: none of any skill; fake did not answer within 5 seconds"
    assert await Daemon(None).first("12?") == ("general-assistant", reason)
    assert trio.current_time() - began == pytest.approx(5.0)


async def test_without_a_general_assistant_the_best_by_words_then_by_name_is_first() -> None:
    assert await Daemon(by="words", skills=SKILLS[:2]).first("12?") == ("a-gardener", "words: none")
    reason = "words: none; fake named none"
    assert await Daemon(skills=SKILLS[:2]).first("12?") == ("a-gardener", reason)


async def test_a_single_skill_asks_no_model_and_no_skill_at_all_names_the_general_assistant() -> None:
    daemon = Daemon(['"cook"'], skills=SKILLS[1:2])
    assert (await daemon.first("12?"))[0] == "cook"
    assert daemon.requests == []
    empty = Daemon(skills=())
    assert await choose("12?", empty.skill_set, **empty.parts) == ("general-assistant", ())
