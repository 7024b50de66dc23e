"""Requests for a prompt: as it is, as it was shown before, and made to fit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agentgw.protocol.calls.turns import PromptHistory
from agentgw.protocol.errors import ContextOverflow
from agentgw.protocol.types import Chunk, Options
from agentgw_daemon.inference.engine import (
    EngineEvent,
    GenerationRequest,
    PromptCount,
    PromptMessage,
    ToolCallingMode,
)
from agentgw_daemon.prompts.assembly import assemble, generation_request
from agentgw_daemon.prompts.compaction import Fitting
from agentgw_daemon.prompts.prompt import Prompt, prompt_of
from tests.prompts.words import Counter, turn

pytestmark = pytest.mark.anyio

BASE = GenerationRequest(
    messages=(), options=Options(max_tokens=100, seed=7), recompute=True, cache_scope="s-1", background=True
)
CHUNK = Chunk(document_id="d", source="/a.md", text="milk", score=1.0, title_path="", lines=(1, 1))


class Silent:
    """An engine that nobody may ask."""

    async def tool_calling(self) -> ToolCallingMode | None:
        raise AssertionError

    async def count(self, messages: Sequence[PromptMessage], tools: Sequence[Mapping[str, Any]] = ()) -> PromptCount:
        raise AssertionError

    @asynccontextmanager
    async def stream(self, request: GenerationRequest) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        raise AssertionError
        yield


def fitting(n_ctx_tokens: int) -> Fitting:
    return Fitting(engine=Silent(), count=Counter(n_ctx_tokens), model="x")


async def test_without_fitting_the_prompt_goes_as_it_is() -> None:
    prompt = Prompt(system="s", history=(turn(3),), message="m", excerpts=(CHUNK,))
    made = await assemble(prompt, BASE)
    assert made.request.messages == prompt.messages()
    assert made.history == PromptHistory(excerpts=(CHUNK,))


async def test_all_but_the_messages_is_what_was_asked_for() -> None:
    request = (await assemble(Prompt(system="", history=(), message="m"), BASE)).request
    assert (request.options, request.recompute, request.cache_scope, request.background) == (
        BASE.options, True, "s-1", True
    )  # fmt: skip


async def test_a_prompt_on_record_is_shown_as_it_was_and_no_model_is_asked() -> None:
    prompt = Prompt(system="s", history=(turn(3), turn(4), turn(5)), message="m")
    shown = PromptHistory(summarised_turns=1, summary="notes", left_out_turns=1, excerpts=(CHUNK,))
    made = await assemble(prompt, BASE, shown=shown)
    assert made.history == shown
    # The summary stands for the first turn and is the one that was left out.
    assert [len(message.content.split()) for message in made.messages[1:5]] == [1, 3, 1, 4]
    assert "milk" in made.messages[-1].content


async def test_the_oldest_turns_are_left_out_of_what_is_too_long() -> None:
    prompt = Prompt(system="s", history=tuple(turn(100) for _ in range(10)), message="m")
    made = await assemble(prompt, BASE, fitting(600))
    assert (made.history.left_out_turns, made.left_out_tokens, made.due_turns) == (6, 600, 0)
    assert made.request.messages == prompt.messages(6)
    assert made.notice is None, "without a database nothing is summarised"


async def test_what_was_shown_before_is_trimmed_further_where_less_has_room() -> None:
    prompt = Prompt(system="s", history=tuple(turn(100) for _ in range(10)), message="m")
    shown = PromptHistory(left_out_turns=2, excerpts=(CHUNK,))
    made = await assemble(prompt, BASE, fitting(600), shown=shown)
    assert (made.left_out_turns, made.history) == (4, PromptHistory(left_out_turns=6, excerpts=(CHUNK,)))
    made = await assemble(prompt, BASE, fitting(4000), shown=shown)
    assert (made.left_out_turns, made.history) == (0, shown)


@pytest.mark.parametrize(
    ("fields", "counted"),
    [
        ({}, True),
        ({"n_ctx_tokens": 0}, False),
        ({"n_ctx_tokens": 512}, True),
        ({"n_ctx_tokens": 0, "shows_tools": lambda messages: False}, False),
        ({"n_ctx_tokens": 0, "shows_tools": lambda messages: True}, True),
    ],
)
async def test_what_fits_by_its_bytes_is_not_counted_where_that_will_do(fields: dict[str, Any], counted: bool) -> None:
    count = Counter(2048)
    made = await assemble(
        Prompt(system="s", history=(), message="m"), BASE, Fitting(engine=Silent(), count=count, model="x", **fields)
    )
    assert bool(count.calls) == counted
    assert [message.content for message in made.messages] == ["s", "m"]


async def test_a_message_that_cannot_fit_is_refused() -> None:
    with pytest.raises(ContextOverflow):
        await assemble(Prompt(system="", history=(), message="m " * 700), BASE, fitting(600))


def test_a_schema_is_told_in_the_system_text() -> None:
    plain = prompt_of("Be good.", (), "m")
    told = prompt_of("Be good.", (), "m", {"type": "object", "properties": {"name": {"type": "string"}}})
    assert plain.system == "Be good."
    assert told.system.startswith("Be good.\n\n")
    assert "JSON" in told.system


def test_an_explicit_seed_has_all_computed_anew() -> None:
    drawn = generation_request(Options(), seed=5, skill=True, background=False)
    assert (drawn.recompute, drawn.fallback_seed, drawn.skill, drawn.messages) == (False, 5, True, ())
    assert generation_request(Options(seed=1), seed=5, skill=False, background=True).recompute
    assert generation_request(Options(), recompute=True).recompute
