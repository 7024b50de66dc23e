"""Chunks and completions in the forms that endpoints use, and in those that nobody should."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw.protocol.types import Usage
from agentgw_daemon.inference.engines.chunks import ChunkContent, GaveUp, NotUnderstood, index_in, read_piece
from tests.inference.engines.deltas import delta

NAMES = ("choices", "delta", "message", "content", "tool_calls", "function", "index", "finish_reason", "usage", "type")
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=15,
)


def text_of(piece: ChunkContent, channel: str = "answer") -> str:
    return "".join(text for one, text in piece.texts if one == channel)


@pytest.mark.parametrize(
    "content",
    [
        "hi",
        ["hi"],
        ["h", {"text": "i"}],
        [{"type": "text", "text": "hi"}],
        [{"type": "output_text", "text": "h"}, {"type": "text", "text": "i"}],
        {"type": "text", "text": "hi"},
        [{"type": "text", "text": {"value": "hi", "annotations": []}}],
        [{"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "hi"}, None],
    ],
)
def test_content_is_text_or_parts_of_it(content: Any) -> None:
    assert text_of(read_piece(delta(content=content))) == "hi"


@pytest.mark.parametrize(
    "said",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"reasoning_content": "hm", "reasoning": "hm"},
        {"reasoning": None, "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted"}, {"type": "reasoning.summary", "summary": "hm"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}, {"type": "text", "text": "m"}]}]},
        {"content": [{"type": "thinking", "thinking": "hm"}]},
        {"content": [{"type": "reasoning", "text": "hm"}]},
    ],
)  # fmt: skip
def test_thoughts_are_told_from_the_answer(said: dict[str, Any]) -> None:
    piece = read_piece(delta(**said))
    assert text_of(piece, "reasoning") == "hm"
    assert text_of(piece) == ""


def test_text_and_thought_of_one_content_keep_their_order() -> None:
    parts = [
        {"type": "thinking", "thinking": "a"},
        {"type": "text", "text": "b"},
        {"type": "thinking", "thinking": "c"},
    ]
    assert read_piece(delta(content=parts)).texts == (("reasoning", "a"), ("answer", "b"), ("reasoning", "c"))


@pytest.mark.parametrize(
    "value",
    [
        {"choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]},
        {"choices": [{"text": "hi", "finish_reason": "stop"}]},
        {"choices": [{"index": 1, "delta": {"content": "other"}}, *delta("stop", content="hi")["choices"]]},
        {"choices": [{"delta": {}, "message": {"content": "hi"}, "finish_reason": "stop"}]},
        {"choices": [{"delta": {"role": "assistant", "content": None}, "message": {"content": "hi"},
                      "finish_reason": "stop"}]},
        {"choices": [{"delta": {"content": "hi"}, "message": {"content": "so far: hi"}, "finish_reason": "stop"}]},
        {"choices": [{"index": None, "delta": {"content": "hi"}, "finish_reason": "stop"}]},
        {**delta("stop", content="hi"), "error": None},
        {**delta("stop", content="hi"), "error": {}},
    ],
)  # fmt: skip
def test_whole_completions_and_further_forms_are_read(value: Any) -> None:
    piece = read_piece(value)
    assert (text_of(piece), piece.finish_reason) == ("hi", "stop")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"type": "ping"},
        {"object": "chat.completion.chunk", "id": "x"},
        {"choices": []},
        {"choices": None},
        {"choices": None, "usage": None},
        {"choices": [], "prompt_filter_results": [{}]},
        {"choices": [{"index": 1, "delta": {"content": "another answer"}}]},
        delta(),
        delta(role="assistant", content=""),
        delta("", content=None, refusal=None, tool_calls=None, function_call=None),
        {"choices": [{"index": 0, "delta": None}]},
    ],
)
def test_chunks_that_say_nothing_are_nothing(value: Any) -> None:
    assert read_piece(value) == ChunkContent()


def test_usage_is_taken_where_it_is_one() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
    assert read_piece({"choices": [], "usage": usage}).usage == Usage(
        prompt_tokens=3, cached_tokens=1, completion_tokens=2
    )
    assert read_piece({"usage": {"prompt_tokens": 10**30, "completion_tokens": -1}}).usage == Usage()
    assert read_piece({**delta(content="x"), "usage": None}).usage is None


@pytest.mark.parametrize(
    ("reason", "ours", "failure"),
    [
        ("stop", "stop", ""), ("STOP", "stop", ""), ("eos", "stop", ""), ("end_turn", "stop", ""),
        ("tool_calls", "stop", ""), ("length", "length", ""), ("MAX_TOKENS", "length", ""),
        ("model_length", "length", ""), ("content_filter", None, "content_filter"), ("SAFETY", None, "SAFETY"),
        ("error", None, "error"), ("abort", None, "abort"), (None, None, ""), ("", None, ""), (7, None, "7"),
        ({"type": "x"}, None, '{"type": "x"}'),
    ],
)  # fmt: skip
def test_an_end_is_told_from_what_is_none(reason: Any, ours: str | None, failure: str) -> None:
    piece = read_piece(delta(reason, content="half"))
    assert (piece.finish_reason, piece.failure, text_of(piece)) == (ours, failure, "half")


@pytest.mark.parametrize(
    "said", [{"refusal": "no"}, {"content": [{"type": "refusal", "refusal": "no"}]}, {"refusal": {"message": "no"}}]
)
def test_a_refusal_is_no_answer(said: dict[str, Any]) -> None:
    piece = read_piece(delta(**said))
    assert (piece.refusal, piece.texts) == ("no", ())


def test_a_call_of_the_older_form_is_a_call() -> None:
    (call,) = read_piece(delta("function_call", function_call={"name": "look", "arguments": "{}"})).calls
    assert (call.index, call.name, call.arguments) == (0, "look", "{}")


@pytest.mark.parametrize(
    "value",
    [
        {"error": "boom"},
        {"error": {"message": "boom"}},
        {"error": ["boom"]},
        {"errors": [{"message": "boom"}]},
        {"object": "error", "message": "boom"},
        {"type": "error", "error": {"message": "boom"}},
        {"message": "boom"},
        {"detail": "boom"},
        {"object": "chat.completion.chunk", "message": "boom"},
        {"choices": [], "error": {"message": "boom"}},
        {"choices": [{"delta": {}, "error": {"message": "boom"}, "finish_reason": "error"}]},
        {"choices": [{"delta": {"error": {"message": "boom"}}}]},
        [{"error": {"message": "boom"}}],
        {"choices": [], "message": "boom"},
        {"choices": [], "usage": {"prompt_tokens": 1}, "detail": "boom"},
    ],
)
def test_errors_of_any_shape_are_errors(value: Any) -> None:
    with pytest.raises(GaveUp, match="boom"):
        read_piece(value)


@pytest.mark.parametrize(
    "value",
    [
        {"status": "failed", "choices": []}, {"status": "Failed", "choices": None}, {"status": "incomplete"},
        {"success": False, "choices": []}, {"ok": False, "choices": [], "usage": {"prompt_tokens": 1}},
    ],
)  # fmt: skip
def test_a_failure_without_words_is_one(value: Any) -> None:
    with pytest.raises(GaveUp) as caught:
        read_piece(value)
    assert caught.value.said == value


@pytest.mark.parametrize(
    ("value", "index"),
    [
        (delta(content="x"), 0), ({"choices": [{"index": 1}]}, 1), ({"choices": [{"index": "2"}, {"index": 1}]}, 2),
        ({"choices": [{"index": 1}, {"index": 0}]}, 0), ({"choices": [{"index": 3.0}]}, 3),
        ({"choices": [{"index": -1}]}, -1), ({"choices": [{"index": [1]}]}, 0), ({"choices": [{"index": "x"}]}, 0),
        ({"choices": []}, None), ({"choices": [None]}, None), ({"choices": {}}, None), ({}, None), ([], None),
    ],
)  # fmt: skip
def test_the_index_of_the_answer_is_that_of_the_first_choice(value: Any, index: int | None) -> None:
    assert index_in(value) == index


@pytest.mark.parametrize(
    "value",
    [
        None, 1, "hi", [], [1], {"choices": "x"}, {"choices": [None]}, {"choices": [["x"]]}, {"result": 1},
        {"choices": [{"delta": "hi"}]}, {"choices": [{"text": 1}]}, delta(content=1), delta(content=[1]),
        delta(content=[{"type": "image_url", "image_url": {}}]), delta(tool_calls="x"), delta(tool_calls=["x"]),
        delta(tool_calls=[{"function": {"name": 1}}]), delta(function_call="x"), {"error": {}},
    ],
)  # fmt: skip
def test_what_is_not_understood_is_never_nothing(value: Any) -> None:
    with pytest.raises((NotUnderstood, GaveUp)):
        read_piece(value)


@given(ANY_JSON)
def test_any_json_is_a_piece_or_an_error(value: Any) -> None:
    try:
        piece = read_piece(value)
    except (NotUnderstood, GaveUp):
        return
    assert isinstance(piece, ChunkContent)


def test_arguments_that_nest_too_deeply_are_an_error() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(NotUnderstood, match="too deeply"):
        read_piece(delta(tool_calls=[{"index": 0, "function": {"name": "look", "arguments": deep}}]))
