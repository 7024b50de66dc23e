"""Calls out of their pieces: two calls are never taken for one, and one never for two."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentgw_daemon.inference.engines.call_pieces import MAX_CALLS, CallPieces
from agentgw_daemon.inference.engines.chunks import NotUnderstood, read_piece
from agentgw_daemon.tool_calling.answers.events import Malformed, ModelToolCall

TWO = [("look", {"n": 1}), ("change", {"n": 2})]


def entry(
    name: str | None = None, arguments: Any = None, *, index: int | None = None, key: str | None = None
) -> dict[str, Any]:
    made: dict[str, Any] = {"function": {"name": name, "arguments": arguments}}
    return {**made, **({} if index is None else {"index": index}), **({} if key is None else {"id": key})}


def pieces_of(*chunks: list[dict[str, Any]]) -> CallPieces:
    pieces = CallPieces()
    for calls in chunks:
        pieces.add(read_piece({"choices": [{"delta": {"tool_calls": calls}}]}).calls)
    return pieces


def calls_of(*chunks: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    made = pieces_of(*chunks).complete(cut=False)
    return [(one.name, json.loads(one.arguments)) for one in made if isinstance(one, ModelToolCall)]


@pytest.mark.parametrize(
    "chunks",
    [
        # As the specification has it.
        [[entry("look", "", index=0, key="a")], [entry(arguments='{"n"', index=0)], [entry(arguments=": 1}", index=0)],
         [entry("change", '{"n": ', index=1, key="b")], [entry(arguments="2}", index=1)]],
        # Pieces of both by turns.
        [[entry("look", '{"n', index=0, key="a"), entry("change", '{"n": ', index=1, key="b")],
         [entry(arguments="2}", index=1), entry(arguments='": 1}', index=0)]],
        # Index 0 for all, ids that differ.
        [[entry("look", '{"n": 1}', index=0, key="a")], [entry("change", '{"n": 2}', index=0, key="b")]],
        [[entry("look", "", index=0, key="a")], [entry("change", "", index=0, key="b")],
         [entry(arguments='{"n": 1}', index=0, key="a")], [entry(arguments='{"n": 2}', index=0, key="b")]],
        # No index.
        [[entry("look", '{"n": 1}', key="a")], [entry("change", '{"n": 2}', key="b")]],
        [[entry("look", '{"n": 1}', key="a"), entry("change", '{"n": 2}', key="b")]],
        [[entry("look", '{"n":', key="a")], [entry(arguments="1}")], [entry("change", '{"n":', key="b")],
         [entry(arguments="2}")]],
        # Neither index nor id.
        [[entry("look", '{"n": 1}')], [entry("change", '{"n": 2}')]],
        [[entry("look", '{"n": 1}'), entry("change", '{"n": 2}')]],
        [[entry("look"), entry("change")], [entry(arguments='{"n"'), entry(arguments='{"n"')],
         [entry(arguments=": 1}"), entry(arguments=": 2}")]],
        # Index 0 for all and no id.
        [[entry("look", '{"n": 1}', index=0)], [entry("change", '{"n": 2}', index=0)]],
        # An id for each piece; the name with each piece.
        [[entry("look", '{"n"', index=0, key="a")], [entry(arguments=": 1}", index=0, key="b")],
         [entry("change", '{"n": 2}', index=1, key="c")]],
        [[entry("look", '{"n"', index=0)], [entry("look", ": 1}", index=0)], [entry("change", '{"n": 2}', index=1)]],
        # Arguments as an object, also said again.
        [[entry("look", {"n": 1}, index=0, key="a")], [entry("change", {"n": 2}, index=0, key="b")]],
        [[entry("look", {"n": 1})], [entry("look", {"n": 1})], [entry("change", {"n": 2})]],
        # Without the function around name and arguments, and under another name.
        [[{"name": "look", "arguments": '{"n": 1}'}], [{"function": {"name": "change", "parameters": {"n": 2}}}]],
        # JSON twice.
        [[entry("look", json.dumps('{"n": 1}'), key="a")], [entry("change", '{"n": 2}', key="b")]],
    ],
)  # fmt: skip
def test_two_calls_are_these_two_calls(chunks: list[list[dict[str, Any]]]) -> None:
    assert calls_of(*chunks) == TWO


@pytest.mark.parametrize(
    "chunks",
    [
        [[entry("roll", {}), entry("roll", {})]],
        [[entry("roll", "{}", index=0, key="same"), entry("roll", "{}", index=1, key="same")]],
        [[entry("roll", '{"n": 1}', index=0)], [entry("roll", '{"n": 2}', index=0)]],
        [[entry("roll", '{"n": 1}', index=0, key="same")], [entry("roll", '{"n": 2}', index=0, key="same")]],
        [[entry("roll", {"n": 1})], [entry("roll", {"n": 2})]],
    ],
)
def test_the_same_tool_twice_is_two_calls(chunks: list[list[dict[str, Any]]]) -> None:
    assert len(calls_of(*chunks)) == 2


def test_a_call_without_arguments_has_none() -> None:
    assert calls_of([entry("look", "", index=0)]) == [("look", {})]
    assert calls_of([entry("look", None)]) == [("look", {})]


def test_arguments_as_an_object_are_that_object_and_never_an_empty_one() -> None:
    assert calls_of([entry("look", {"path": "a", "deep": {"n": [1, None]}})]) == [
        ("look", {"path": "a", "deep": {"n": [1, None]}})
    ]


@pytest.mark.parametrize("text", ["", '{"path": "a', "{"])
def test_a_call_cut_off_at_the_limit_is_told_as_such(text: str) -> None:
    first, last = pieces_of([entry("look", "", index=0), entry("change", text, index=1)]).complete(cut=True)
    assert first == ModelToolCall(name="look", arguments="{}")
    assert last == Malformed(text=f"change {text}", reason="the call was cut off before its end")


def test_a_call_that_is_whole_at_the_limit_stands() -> None:
    assert pieces_of([entry("look", '{"n": 1}')]).complete(cut=True) == (
        ModelToolCall(name="look", arguments='{"n": 1}'),
    )


def test_a_call_that_was_cut_keeps_a_beginning_that_any_prompt_can_hold() -> None:
    (made,) = pieces_of([entry("look", '{"a": "\ud83d' + "x" * 10_000)]).complete(cut=True)
    assert isinstance(made, Malformed)
    assert len(made.text) == 2_000
    assert made.text.isprintable()


def test_calls_are_bounded() -> None:
    with pytest.raises(NotUnderstood, match="more than 128 calls"):
        pieces_of([entry("look", {}, index=n) for n in range(MAX_CALLS + 1)])


@pytest.mark.parametrize(
    "chunks",
    [
        [[entry("get_", "", index=0, key="a")], [entry("weather", index=0)], [entry(arguments="{}", index=0)]],
        [[entry("get", "", index=0, key="a")], [entry("get_weather", "{}", index=0, key="a")]],
        [[entry("get", "", index=0, key="a")], [entry("get_wea", index=0)], [entry("get_weather", "{}", index=0)]],
        [[entry("get_weather", "", index=0, key="a")], [entry("get_weather", "{}", index=0)]],
    ],
)
def test_a_name_may_come_in_pieces(chunks: list[list[dict[str, Any]]]) -> None:
    assert calls_of(*chunks) == [("get_weather", {})]


def test_two_names_with_ids_of_their_own_are_two_calls() -> None:
    assert calls_of([entry("get", "", index=0, key="a")], [entry("get_all", "", index=0, key="b")]) == [
        ("get", {}), ("get_all", {}),
    ]  # fmt: skip
