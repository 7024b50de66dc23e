"""Words of engines on their way in: valid whatever they said, and nothing else changed."""

from __future__ import annotations

import ast
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

import agentgw_daemon
from agentgw.protocol.types import Options, Timings, Usage
from agentgw_daemon.inference.engine import EngineEvent, Finished, GenerationRequest, Queued, TextDelta
from agentgw_daemon.inference.hearing import Heard, hear
from agentgw_daemon.tool_calling.answers.events import Malformed, ModelToolCall

pytestmark = pytest.mark.anyio

END = Finished(finish_reason="stop", usage=Usage(prompt_tokens=1), timings=Timings())
HIGH, LOW = "\ud83d", "\ude00"


class Saying:
    """An engine that says these events; nobody asks it for anything else."""

    def __init__(self, events: Sequence[EngineEvent]) -> None:
        self._events = events

    @asynccontextmanager
    async def stream(self, _: GenerationRequest) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        async with aclosing(self._say()) as events:
            yield events

    async def _say(self) -> AsyncGenerator[EngineEvent, None]:
        for event in self._events:
            yield event


async def heard(*events: EngineEvent) -> list[Heard]:
    async with hear(Saying(events), GenerationRequest(messages=(), options=Options())) as found:
        return [event async for event in found]


def said(events: list[Heard], channel: str = "answer") -> str:
    return "".join("".join(one.texts) for one in events if isinstance(one, TextDelta) and one.channel == channel)


async def test_what_is_valid_passes_as_it_is() -> None:
    events = (Queued(position=1), TextDelta(texts=("Grüße ", "😀")), TextDelta(texts=("hm",), channel="reasoning"), END)
    assert await heard(*events) == list(events)


async def test_halves_are_joined_over_deltas_on_each_channel() -> None:
    events = await heard(
        TextDelta(texts=("a" + HIGH,)),
        TextDelta(texts=("b" + HIGH,), channel="reasoning"),
        TextDelta(texts=(LOW + "c",)),
        TextDelta(texts=(LOW, "d"), channel="reasoning"),
        END,
    )
    assert (said(events), said(events, "reasoning")) == ("a😀c", "b😀d")


@pytest.mark.parametrize("last", [(), (END,)])
async def test_a_half_at_the_end_is_replaced_and_comes_before_the_end(last: tuple[EngineEvent, ...]) -> None:
    events = await heard(TextDelta(texts=("a", HIGH)), TextDelta(texts=(HIGH,), channel="reasoning"), *last)
    assert (said(events), said(events, "reasoning")) == ("a\ufffd", "\ufffd")
    assert events[len(events) - len(last) :] == list(last)


async def test_a_call_with_half_an_emoji_is_a_call_with_a_valid_text() -> None:
    (call,) = await heard(ModelToolCall(name="re" + HIGH, arguments='{"path": "\\ud83d.txt", "\\ude00": 1}'))
    assert call == ModelToolCall(name="re\ufffd", arguments='{"path": "\ufffd.txt", "\ufffd": 1}')
    (call,) = await heard(ModelToolCall(name="r", arguments='{"path": "' + HIGH + LOW + '"}'))
    assert call == ModelToolCall(name="r", arguments='{"path": "😀"}')


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("", "{}", "no name"),
        ("n" * 257, "{}", "no tool has a name of more than 256"),
        ("read", "", "not valid JSON"),
        ("read", '{"path": "a', "not valid JSON"),
        ("read", "null", "must be a JSON object"),
        ("read", '"{"', "must be a JSON object"),
        ("read", '{"n": -Infinity}', "-Infinity is not JSON"),
        ("read", '{"n": ' + "9" * 5000 + "}", "64 bits"),
        ("read", '{"a": ' * 65 + "1" + "}" * 65, "nested deeper than 64"),
        ("read", "[" * 100_000, "nested deeper than 64"),
    ],
)
async def test_a_call_that_breaks_the_rules_is_malformed_and_short(name: str, arguments: str, reason: str) -> None:
    (call,) = await heard(ModelToolCall(name=name, arguments=arguments))
    assert isinstance(call, Malformed)
    assert reason in call.reason
    assert len(call.text) <= 2_001
    assert call.text.startswith(f"{name} {arguments}"[:1000])


async def test_counts_fit_the_database() -> None:
    usage = Usage(prompt_tokens=10**30, cached_tokens=-5, completion_tokens=7)
    (end,) = await heard(Finished(finish_reason="stop", usage=usage, timings=Timings()))
    assert isinstance(end, Finished)
    assert end.usage == Usage(prompt_tokens=2**53 - 1, cached_tokens=0, completion_tokens=7)


def test_nobody_listens_to_an_engine_in_another_way() -> None:
    daemon = Path(agentgw_daemon.__file__).parent
    direct = [
        str(path.relative_to(daemon))
        for path in daemon.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "stream"
        and "engine" in ast.unparse(node.func.value)
    ]
    assert direct == ["inference/hearing.py"]
