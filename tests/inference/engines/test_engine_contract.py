"""Duties of every engine to a turn: the fake worker, the built-in model and the real worker take the same tests."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from agentgw.protocol.errors import ContextOverflow
from agentgw.protocol.types import ChatMessage, Options
from agentgw_daemon.inference.engine import (
    Engine,
    EngineEvent,
    Finished,
    GenerationRequest,
    Loading,
    Prefill,
    Queued,
    TextDelta,
)
from agentgw_daemon.inference.pool import open_pool
from agentgw_daemon.inference.spec import InferenceSettings, ModelSpec
from tests import starter
from tests.inference.hosting.fakeworker import fake_model, fake_settings
from tests.patience import PATIENCE_S

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("kind", ["fake", "echo", pytest.param("real", marks=pytest.mark.e2e)]),
]

LONG = "Count from one to fifty, please, and do not stop before: " + "one two three four five " * 4


@asynccontextmanager
async def engine_of(kind: str, folder: Path) -> AsyncIterator[Engine]:
    match kind:
        case "fake":
            settings, spec = fake_settings(), fake_model(folder)
        case "echo":
            settings, spec = fake_settings(), ModelSpec(name="echo", kind="builtin")
        case _:
            # More threads spin while they wait for each other.
            settings = InferenceSettings(n_ctx=512, threads=1, calibrate=False)
            spec = ModelSpec(name="starter", kind="file", path=str(starter.starter_model()), sha256=starter.SHA256)
    with trio.fail_after(PATIENCE_S):
        async with AsyncExitStack() as stack:
            pool = await stack.enter_async_context(open_pool(settings, environ=os.environ, instance="test"))
            yield await pool.engine(spec)


def request(text: str = LONG, **options: object) -> GenerationRequest:
    made = Options(**{"temperature": 0.0, "max_tokens": 12, **options})  # type: ignore[arg-type]  # by name
    return GenerationRequest(messages=(ChatMessage(role="user", content=text),), options=made)


async def events_of(engine: Engine, asked: GenerationRequest) -> list[EngineEvent]:
    async with engine.stream(asked) as events:
        return [event async for event in events]


def text_of(events: list[EngineEvent]) -> str:
    return "".join(text for event in events if isinstance(event, TextDelta) for text in event.texts)


def end_of(events: list[EngineEvent]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


async def test_events_come_in_phases_and_finished_once_at_the_end(kind: str, tmp_path: Path) -> None:
    phases = [Loading, Queued, Prefill, TextDelta, Finished]
    async with engine_of(kind, tmp_path) as engine:
        events = await events_of(engine, request())
    order = [phases.index(type(event)) for event in events]
    assert order == sorted(order)
    assert order.count(phases.index(Finished)) == 1
    assert text_of(events)
    assert all(text for event in events if isinstance(event, TextDelta) for text in event.texts)


async def test_usage_and_timings_are_told(kind: str, tmp_path: Path) -> None:
    async with engine_of(kind, tmp_path) as engine:
        finished = end_of(await events_of(engine, request()))
        counted = await engine.count(request().messages)
    assert finished.usage.prompt_tokens == counted.tokens > 0
    assert 0 < finished.usage.completion_tokens <= 12
    assert finished.timings.first_token_ms > 0
    assert finished.timings.decode_tokens_per_s > 0
    assert finished.prompt_sha256
    assert finished.engine


async def test_max_tokens_is_a_length(kind: str, tmp_path: Path) -> None:
    async with engine_of(kind, tmp_path) as engine:
        finished = end_of(await events_of(engine, request(max_tokens=3)))
    assert finished.finish_reason == "length"
    assert finished.usage.completion_tokens == 3


async def test_stop_string_ends_the_answer_and_is_not_part_of_it(kind: str, tmp_path: Path) -> None:
    async with engine_of(kind, tmp_path) as engine:
        # Fresh, both times: a reused prefix may tip a near tie between two tokens.
        whole = text_of(await events_of(engine, replace(request(), recompute=True)))
        middle = whole[len(whole) // 2 : len(whole) // 2 + 4]
        events = await events_of(engine, replace(request(stop=(middle,)), recompute=True))
    assert end_of(events).finish_reason == "stop"
    assert text_of(events) == whole[: whole.index(middle)]


async def test_same_request_gets_the_same_text(kind: str, tmp_path: Path) -> None:
    async with engine_of(kind, tmp_path) as engine:
        asked = request(seed=7, temperature=0.8)
        recompute = GenerationRequest(messages=asked.messages, options=asked.options, recompute=True)
        assert text_of(await events_of(engine, recompute)) == text_of(await events_of(engine, recompute))


async def test_leaving_early_frees_the_engine_for_the_next(kind: str, tmp_path: Path) -> None:
    async with engine_of(kind, tmp_path) as engine:
        for _ in range(3):
            async with engine.stream(request(max_tokens=200)) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        break
        assert end_of(await events_of(engine, request(max_tokens=3))).usage.completion_tokens == 3


async def test_cancelled_reader_frees_the_engine_for_the_next(kind: str, tmp_path: Path) -> None:
    async with engine_of(kind, tmp_path) as engine:
        with trio.CancelScope() as scope:
            async with engine.stream(request(max_tokens=200)) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        scope.cancel()
        assert end_of(await events_of(engine, request(max_tokens=3))).usage.completion_tokens == 3


async def test_stream_that_nobody_reads_is_left_without_harm(kind: str, tmp_path: Path) -> None:
    async with engine_of(kind, tmp_path) as engine:
        async with engine.stream(request()):
            pass
        assert text_of(await events_of(engine, request(max_tokens=3)))


async def test_requests_at_once_are_all_answered(kind: str, tmp_path: Path) -> None:
    ends: list[Finished] = []

    async def ask(engine: Engine) -> None:
        ends.append(end_of(await events_of(engine, request(max_tokens=3))))

    async with engine_of(kind, tmp_path) as engine, trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(ask, engine)
    assert [end.usage.completion_tokens for end in ends] == [3] * 4


async def test_prompt_beyond_the_context_is_refused_with_the_numbers(kind: str, tmp_path: Path) -> None:
    messages = (ChatMessage(role="user", content="one two three " * 2000),)
    async with engine_of(kind, tmp_path) as engine:
        counted = await engine.count(messages)
        if counted.tokens <= counted.n_ctx_tokens:
            assert kind == "echo"
            return
        with pytest.raises(ContextOverflow) as caught:
            await events_of(engine, GenerationRequest(messages=messages, options=Options()))
        assert caught.value.data["prompt_tokens"] == counted.tokens
        assert caught.value.data["n_ctx_tokens"] == counted.n_ctx_tokens
        assert text_of(await events_of(engine, request(max_tokens=3)))
