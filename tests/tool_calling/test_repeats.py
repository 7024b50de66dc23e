from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.tool_calling.repeats import RepeatDetector, canonical


def said(*calls: tuple[str, dict[str, Any]]) -> list[bool]:
    repeats = RepeatDetector()
    return [repeats.note(tool, arguments) is not None for tool, arguments in calls]


A = ("read_file", {"path": "a", "n": 1})
B = ("read_file", {"path": "b"})
C = ("current_time", dict[str, Any]())


def test_the_third_time_is_a_repeat() -> None:
    assert said(A, A, A) == [False, False, True]
    assert said(A, B, A, C, A) == [False, False, False, False, True]


def test_the_order_of_arguments_does_not_matter() -> None:
    assert said(A, ("read_file", {"n": 1, "path": "a"}), A)[-1]


def test_two_calls_in_turn_are_noticed_the_second_time_round() -> None:
    assert said(A, B, A, B) == [False, False, False, True]


def test_three_calls_in_turn_are_too() -> None:
    assert said(A, B, C, A, B, C)[-1]


def test_a_call_with_other_arguments_is_another() -> None:
    assert not any(said(*(("read_file", {"path": str(n)}) for n in range(20))))


def test_the_model_is_told_which_call_and_how_often() -> None:
    repeats = RepeatDetector()
    told = [repeats.note(*A) for _ in range(3)][-1]
    assert told is not None
    assert "read_file" in told
    assert "3 times" in told


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=4))
def test_equal_arguments_have_one_text(arguments: dict[str, Any]) -> None:
    assert canonical("t", arguments) == canonical("t", dict(reversed(arguments.items())))
