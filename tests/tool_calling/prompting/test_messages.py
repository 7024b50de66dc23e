from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.tool_calling.prompting.messages import (
    ToolOutcome,
    call_id,
    native_error,
    native_step,
    plain_step,
    result_text,
)

READ = ToolOutcome(name="read_file", arguments={"path": "é"}, content="milk\n")
TIME = ToolOutcome(name="current_time", arguments={}, content="noon")


def test_a_native_step_is_the_calls_and_then_each_result_by_its_id() -> None:
    assistant, *results = native_step((READ, TIME), text="So:", first=3)
    assert assistant["content"] == "So:"
    assert [call["function"] for call in assistant["tool_calls"]] == [
        {"name": "read_file", "arguments": {"path": "é"}},
        {"name": "current_time", "arguments": {}},
    ]
    assert [call["id"] for call in assistant["tool_calls"]] == ["call00003", "call00004"]
    assert results == [
        {"role": "tool", "name": "read_file", "tool_call_id": "call00003", "content": "milk\n"},
        {"role": "tool", "name": "current_time", "tool_call_id": "call00004", "content": "noon"},
    ]


@given(st.integers(0, 10**7))
def test_an_id_has_nine_letters_and_digits(number: int) -> None:
    assert len(call_id(number)) == 9
    assert call_id(number).isalnum()


def test_a_plain_step_is_what_the_model_wrote_and_what_the_user_would_paste() -> None:
    assistant, user = plain_step((READ,))
    assert json.loads(assistant["content"]) == {"tool": "read_file", "arguments": {"path": "é"}}
    assert user == {"role": "user", "content": "read_file:\n```\nmilk\n```"}


@given(st.lists(st.sampled_from(["`", "```", "\n", "x"]), max_size=12).map("".join))
def test_a_result_cannot_end_its_fence(content: str) -> None:
    first, *_, last = result_text("a", content).split("\n")[1:]
    assert first == last
    assert set(first) == {"`"}
    assert first not in content


def test_an_error_shows_the_model_what_it_wrote() -> None:
    assistant, user = native_error("<tool_call>{", "it was cut off")
    assert assistant == {"role": "assistant", "content": "<tool_call>{"}
    assert "it was cut off" in user["content"]
