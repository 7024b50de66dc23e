"""A dry run shows what a turn would send first, tools and summaries included."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentgw.protocol.calls.turns import TurnResult, TurnStartParams
from agentgw.protocol.errors import ContextOverflow
from agentgw.protocol.types import ChatMessage, PromptFit
from agentgw_daemon.inference.engine import (
    EngineEvent,
    GenerationRequest,
    PromptCount,
    TextDelta,
    ToolCallingMode,
    text_of,
)
from agentgw_daemon.tool_calling.formats import choose
from tests.agent.delegating import skill
from tests.agent.scripted import furnish
from tests.turns.frames import watched
from tests.turns.house import House, finished, house

pytestmark = pytest.mark.anyio

PLAIN = choose("{{ messages }}", takes_tools=False, prompt_end="")


async def dry(h: House, message: str = "hi there", **params: Any) -> TurnResult:
    return await h.turns.dry_run(TurnStartParams(message=message, **params))


def parts_of(result: TurnResult) -> list[tuple[str, int]]:
    assert result.parts is not None
    assert sum(part.tokens for part in result.parts) == result.usage.prompt_tokens
    return [(part.name, part.tokens) for part in result.parts]


def calls_by(h: House, *, narrow: bool = False) -> None:
    """A model that knows no tools by itself."""

    async def tool_calling() -> ToolCallingMode:
        return ToolCallingMode(format=PLAIN, narrow=narrow)

    h.engine.tool_calling = tool_calling  # type: ignore[method-assign]  # another model


async def sent(h: House, **params: Any) -> PromptCount:
    """The prompt that the turn itself sent first."""
    await h.ask("hi there", **params)
    request = h.engine.requests[0]
    return await h.engine.count(request.messages, request.tools)  # type: ignore[arg-type]  # the fake takes any


async def test_each_tool_is_a_part(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        furnish(h)
        result = await dry(h)
        assert parts_of(result) == [
            ("template", 2), ("skill general-assistant", 1), ("tool look", 1), ("tool change", 1), ("tool post", 1),
            ("message", 1),
        ]  # fmt: skip
        assert [name for name, _ in parts_of(await dry(h, tools=("look",)))][2:] == ["tool look", "message"]
        assert [name for name, _ in parts_of(await dry(h, tools=()))][2:] == ["message"]
        whole = await sent(h)
        assert (result.text, result.usage.prompt_tokens) == (whole.text, whole.tokens)
        assert (await h.database.statistics()).turns == 1


async def test_tools_that_a_system_text_tells_of_are_parts_too(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        furnish(h)
        calls_by(h)
        result = await dry(h)
        names = [name for name, _ in parts_of(result)]
        assert names == [
            "template", "skill general-assistant", "tool look", "tool change", "tool post", "message"
        ]  # fmt: skip
        assert all(tokens > 0 for _, tokens in parts_of(result))
        whole = await sent(h)
        assert (result.text, result.usage.prompt_tokens) == (whole.text, whole.tokens)


async def test_a_weak_models_call_is_the_prompt_that_goes_first(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        h.skills = {one.name: one for one in (skill("boss", "worker"), skill("worker"))}
        furnish(h)
        calls_by(h, narrow=True)
        message = "Ask worker how it is"
        result = await dry(h, message, skill="boss")
        names = [name for name, _ in parts_of(result)]
        assert names == ["template", "tool delegate_to_agent", "examples", "message"]
        assert result.text.startswith("<system>Write the call for the request.")
        unled = await dry(h, "how are you", skill="boss")
        assert [name for name, _ in parts_of(unled)] == ["template", "skill boss", "message"]


async def test_a_turn_leaves_room_for_its_tools(tmp_path: Path) -> None:
    async def long(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        if text_of(request.messages[0]) == "Be good.":
            yield TextDelta(texts=("word " * 1500,))
        yield finished()

    async with house(tmp_path, long) as h:
        session = (await h.ask()).session_id
        furnish(h)
        plain = h.engine.count

        async def count(messages: Sequence[ChatMessage], tools: Sequence[Any] = ()) -> PromptCount:
            counted = await plain(messages, tools)
            return replace(counted, tokens=counted.tokens + 1000 * len(tools))

        h.engine.count = count  # type: ignore[method-assign]  # tools as long as they can be
        result = await dry(h, session_id=session)
        assert result.fit is not None
        assert result.fit.left_out_turns == 1
        turn = await h.start("hi there", session_id=session)
        await turn.wait_outcome()
        assert "left out" in str([frame["params"] for frame in await watched(turn)])
        with pytest.raises(ContextOverflow) as caught:
            await dry(h, "word " * 1200, session_id=session)
        assert caught.value.data["prompt_tokens"] > 4096
        assert [part["name"] for part in caught.value.data["parts"]][2:5] == ["tool look", "tool change", "tool post"]


async def test_a_summary_is_a_part_and_one_that_is_still_to_be_made_is_told(tmp_path: Path) -> None:
    async def long(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        asked = text_of(request.messages[-1])
        yield TextDelta(texts=("short notes",) if "Summarise" in asked else ("word " * 1500,))
        yield finished()

    async with house(tmp_path, long) as h:
        session = (await h.ask()).session_id
        for _ in range(2):
            await h.ask(session_id=session)
        asked = len(h.engine.requests)
        result = await dry(h, session_id=session)
        assert len(h.engine.requests) == asked, "no model is asked"
        assert result.fit is not None
        assert (result.fit.summarised_turns, result.fit.to_summarise_turns, result.fit.left_out_turns) == (0, 2, 1)
        await h.ask(session_id=session)
        result = await dry(h, session_id=session)
        assert result.fit == PromptFit(n_ctx_tokens=4096, summarised_turns=2, to_summarise_turns=0)
        assert [name for name, _ in parts_of(result)] == [
            "template", "skill general-assistant", "summary", "earlier turns", "message"
        ]  # fmt: skip
        assert "short notes" in result.text
