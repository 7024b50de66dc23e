from __future__ import annotations

import dataclasses

import pytest

from agentgw.protocol.calls.turns import OfferedTool, StepCall, TurnStep
from agentgw.protocol.types import ToolCall
from agentgw_daemon.tool_calling.answers.events import ModelToolCall
from agentgw_daemon.turns.replay.tools import NOT_RECORDED, RecordedTools, normal, recorded_calls
from tests.turns.replay.details import detail

pytestmark = pytest.mark.anyio


async def nobody(*events: object) -> None:
    raise AssertionError("a replay tells nobody of calls")


def recorded(*calls: StepCall) -> RecordedTools:
    tool = OfferedTool(name="look", description="Look.", parameters={"type": "object"})
    return RecordedTools(dataclasses.replace(detail(), steps=(TurnStep(text="", calls=calls),), tools=(tool,)))


def call(arguments: str = '{"a":1,"b":2}', content: str | None = "1", *, ok: bool = True) -> StepCall:
    return StepCall(tool="look", arguments=arguments, ok=ok, content=content)


async def told(tools: RecordedTools, *calls: ModelToolCall) -> list[tuple[bool, str]]:
    return [(done.ok, done.content) for done in await tools.carry_out(calls, nobody)]


async def test_equal_calls_are_answered_in_the_order_of_the_record() -> None:
    tools = recorded(call(content="first"), call('{"a":2}', "other"), call(content="second"))
    same = ModelToolCall(name="look", arguments='{ "b": 2, "a": 1 }')
    assert await told(tools, same, same, same) == [(True, "first"), (True, "second"), (False, NOT_RECORDED)]
    assert [made.recorded for made in tools.made] == [True, True, False]


async def test_a_failure_on_record_stays_one_and_comes_as_the_model_was_told() -> None:
    tools = recorded(call("{", "error: no JSON", ok=False))
    assert await told(tools, ModelToolCall(name="look", arguments="{")) == [(False, "error: no JSON")]


@pytest.mark.parametrize(
    "wanted", [ModelToolCall(name="look", arguments='{"a":9}'), ModelToolCall(name="never", arguments="{}")]
)
async def test_what_is_not_on_record_is_an_error_for_the_model(wanted: ModelToolCall) -> None:
    assert await told(recorded(call()), wanted) == [(False, NOT_RECORDED)]


async def test_a_call_that_never_got_its_result_is_not_on_record() -> None:
    assert await told(recorded(call(content=None)), ModelToolCall(name="look", arguments='{"a":1,"b":2}')) == [
        (False, NOT_RECORDED)
    ]


def test_tools_look_as_they_did() -> None:
    (tool,) = recorded().offered
    assert (tool.name, tool.description, tool.parameters) == ("look", "Look.", {"type": "object"})


def test_a_turn_of_before_steps_were_kept_has_its_calls() -> None:
    made = ToolCall(call_id="c", tool="look", arguments={"a": 1}, ok=True, content="x")
    old = dataclasses.replace(detail(kept=False), tool_calls=(made,))
    assert recorded_calls(old) == (StepCall(tool="look", arguments='{"a": 1}', ok=True, content="x"),)


def test_what_was_no_call_is_none() -> None:
    step = TurnStep(text="", calls=(StepCall(tool=None, arguments="<tool", ok=False, content="cut off"), call()))
    assert recorded_calls(dataclasses.replace(detail(), steps=(step,))) == (call(),)


def test_arguments_that_mean_the_same_read_the_same() -> None:
    assert normal('{"b":1,"a":"é"}') == '{"a": "é", "b": 1}'
    assert normal("{") == "{"
