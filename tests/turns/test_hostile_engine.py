"""An engine that says anything at all: the daemon lives, the turn ends, and all that is kept of it can be had again."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentgw.protocol.calls.turns import TurnReplayParams, TurnResult
from agentgw.protocol.errors import ModelUnavailable
from agentgw.protocol.records.schema import dump
from agentgw.transport.framing import decode, encode
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.inference.engine import EngineEvent, GenerationRequest, TextDelta, ToolCallingMode
from agentgw_daemon.tool_calling.answers.events import ModelToolCall
from agentgw_daemon.tool_calling.formats import NAMES, PLAIN, named
from agentgw_daemon.turns.replay.run import replay
from tests.agent.scripted import furnish
from tests.turns.frames import replayed, watched
from tests.turns.house import House, finished, house

# Whole characters, halves of them in both orders, controls, and what calls are made of.
TEXT = st.text(alphabet=st.sampled_from('a😀é\ud83d\ude00\x00\x1b\n"\\{}[]<>|/:,'), max_size=12)
NUMBERS = st.sampled_from(["NaN", "-Infinity", "1e999", "9" * 25, "1", "-0.0", "9223372036854775808"])
DEEP = st.integers(1, 600).map(lambda depth: '{"text":' * depth + "1" + "}" * depth)
TEXTS_IN_JSON = TEXT.map(lambda text: json.dumps({"text": text}))
ARGUMENTS = st.one_of(
    TEXTS_IN_JSON, DEEP, TEXT,
    NUMBERS.map(lambda number: f'{{"text": {number}}}'),
    NUMBERS.map(lambda number: f'{{"text": "x", "more": [{number}]}}'),
    st.sampled_from(['{"text":"a","text":"b"}', "[]", "null", '"text"', "", "{", '{"text": 5}', '{"\\ud83d": "a"}']),
)  # fmt: skip
TOOLS = st.sampled_from(["look", "change", "nobody", "", "n" * 300, "lo\x00ok", "lo\ud83d", "look\ude00"])
MARKERS = st.sampled_from(
    [
        "<tool_call>", "</tool_call>", '{"name": "look", "arguments": ', "[TOOL_CALLS]", "<think>", "</think>",
        "<|python_tag|>", "```tool_code\n", 'look(text="\\ud83d")', "look(text={1, 2})", "look(text=1e999)",
        "look(text=" + "[" * 90 + "]" * 90 + ")", "<function=look>", "<parameter=text>", "</parameter>", "</function>",
        "<|channel|>", "<|message|>",
    ]
)  # fmt: skip
DELTA = st.builds(
    TextDelta,
    texts=st.lists(st.one_of(TEXT, MARKERS, ARGUMENTS), max_size=3).map(tuple),
    channel=st.sampled_from(["answer", "answer", "reasoning"]),
)
CALLED = st.builds(ModelToolCall, name=TOOLS, arguments=ARGUMENTS)
STEPS = st.lists(st.lists(st.one_of(DELTA, CALLED), max_size=5), min_size=1, max_size=3)


def speaking(steps: Sequence[Sequence[EngineEvent]]) -> Any:
    left = list(steps)

    async def speak(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        await trio.lowlevel.checkpoint()
        for event in left.pop(0) if left else (TextDelta(texts=("done",)),):
            yield event
        yield finished()

    return speak


async def is_had_again(h: House, turn: TurnState) -> None:
    """Everything that a client may ask for, as it goes over the wire."""
    database, sent = h.database, []
    if isinstance(turn.outcome, TurnResult):
        sent.append(dump(turn.outcome))
    sent += [dump(await database.sessions.list()), dump(await database.turns.list())]
    sent.append(dump(await database.sessions.messages(turn.session_id)))
    detail = await database.turns.detail(turn.turn_id)
    assert detail.unreadable is None
    sent.append(dump(detail))
    for form in ("md", "json"):
        sent.append(await database.sessions.export(turn.session_id, format=form))
    sent += (await replayed(h.turns, detail.turn)).splitlines()
    for value in sent:
        # Read as strictly as a stranger's client may.
        decode(value if isinstance(value, bytes) else encode(value).rstrip(b"\n"), max_depth=100)


@pytest.mark.parametrize("form", [None, PLAIN.name, *NAMES])
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors])
@given(steps=STEPS)
def test_whatever_it_says_the_turn_ends_and_can_be_had_again(form: str | None, steps: list[list[EngineEvent]]) -> None:
    tool_calling = ToolCallingMode(format=None if form is None else PLAIN if form == PLAIN.name else named(form))

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with house(Path(folder), speaking(steps)) as h:
                h.engine.mode = tool_calling
                furnish(h)
                turn = await h.start("hi", approvals=("change",), max_iterations=5)
                outcome = await turn.wait_outcome()
                # A step without a word or a call is an error of the model's.
                assert isinstance(outcome, TurnResult | ModelUnavailable), outcome
                stored = await h.database.turns.get(turn.turn_id)
                assert stored.state == ("completed" if isinstance(outcome, TurnResult) else "failed")
                live_frames = await watched(turn)
                assert live_frames[-1]["method"] == "turn.completed"
                await is_had_again(h, turn)
                await again(h, turn, steps)
                assert (await h.ask("and then?", session_id=turn.session_id, ephemeral=True)).text == "done"
                await h.database.sessions.delete(turn.session_id)
                assert (await h.database.sessions.list()).sessions == ()

    trio.run(main)


async def again(h: House, turn: TurnState, steps: list[list[EngineEvent]]) -> None:
    async def tell(_: object) -> None:
        await trio.lowlevel.checkpoint()

    h.engine.script = speaking(steps)
    # It may fail as the turn did.
    with contextlib.suppress(ModelUnavailable):
        encode(dump(await replay(h.services, TurnReplayParams(turn_id=turn.turn_id), tell)))
    h.engine.script = speaking(())
