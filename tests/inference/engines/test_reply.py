"""An endpoint's answer in the making: its channels, its bounds, its ends."""

from __future__ import annotations

from typing import Any

import pytest

from agentgw.protocol.types import Usage
from agentgw_daemon.inference.engine import TextDelta
from agentgw_daemon.inference.engines.chunks import read_piece
from agentgw_daemon.inference.engines.reply import NoAnswer, Reply
from agentgw_daemon.tool_calling.answers.events import Malformed, ModelToolCall
from tests.inference.engines.deltas import delta


def reply(**bounds: Any) -> Reply:
    return Reply(**{"max_bytes": 1 << 20, **bounds})


def take(made: Reply, *chunks: dict[str, Any]) -> list[Any]:
    return [event for chunk in chunks for event in made.take(read_piece(chunk))]


def text_of(events: list[Any], channel: str = "answer") -> str:
    return "".join(
        text for one in events if isinstance(one, TextDelta) and one.channel == channel for text in one.texts
    )


def whole(*chunks: dict[str, Any], **bounds: Any) -> tuple[str, str, list[Any]]:
    """The answer, the reasoning, the calls."""
    made = reply(**bounds)
    events = take(made, *chunks) + list(made.close())
    return text_of(events), text_of(events, "reasoning"), [one for one in events if not isinstance(one, TextDelta)]


def test_thought_in_the_content_is_told_from_the_answer_over_chunks() -> None:
    written = "<think>hm, <b></think>\n\nIt is 1 < 2."
    assert whole(*(delta(content=letter) for letter in written)) == ("It is 1 < 2.", "hm, <b>", [])


@pytest.mark.parametrize("written", ['<think>hm</think>\n{"a": 1}', '```json\n{"a": 1}\n```', '{"a": 1}'])
def test_with_a_schema_only_the_json_is_the_answer(written: str) -> None:
    assert whole(*(delta(content=letter) for letter in written), json=True)[0] == '{"a": 1}'


def test_without_a_schema_a_fence_is_part_of_the_answer() -> None:
    assert whole(delta(content="```json\n{}\n```"))[0] == "```json\n{}\n```"


def test_calls_come_when_the_answer_has_ended() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "look", "arguments": {"n": 1}}}
    assert whole(delta(content="I look."), delta("tool_calls", tool_calls=[call])) == (
        "I look.", "", [ModelToolCall(name="look", arguments='{"n": 1}')],
    )  # fmt: skip


def test_a_call_that_the_limit_cut_is_told_as_such() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "look", "arguments": '{"n'}}
    (made,) = whole(delta(tool_calls=[call]), delta("length"))[2]
    assert made == Malformed(text='look {"n', reason="the call was cut off before its end")


@pytest.mark.parametrize(
    ("chunks", "what", "words"),
    [
        ([], "the endpoint ended the answer without a word", ""),
        ([delta("stop")], "the endpoint ended the answer without a word", ""),
        ([delta("stop", content="")], "the endpoint ended the answer without a word", ""),
        ([delta("stop", content=" \n")], "the endpoint ended the answer without a word", ""),
        ([delta("length")], "cut at the limit of tokens", ""),
        ([delta("stop", reasoning="hm")], "nothing but reasoning came", ""),
        ([delta("stop", content="<think>hm")], "nothing but reasoning came", ""),
        ([delta("length", content="<think>hm")], "nothing but reasoning came: it was cut at the limit", ""),
        ([delta("tool_calls")], "the endpoint ended the answer without a word", ""),
        ([delta(refusal="I can"), delta("stop", refusal="not.")], "the model refused", "I cannot."),
        ([delta(content="Well,"), delta("stop", refusal="no.")], "the model refused", "no."),
        ([delta("content_filter", refusal="no.")], "the model refused", "no."),
        ([delta("content_filter")], "with the reason 'content_filter'", ""),
        ([delta(content="half"), delta("content_filter")], "with the reason 'content_filter'", ""),
        ([delta("error", content="half")], "with the reason 'error'", ""),
    ],
)
def test_an_answer_that_is_none_says_why(chunks: list[dict[str, Any]], what: str, words: str) -> None:
    with pytest.raises(NoAnswer, match=what) as caught:
        whole(*chunks)
    assert caught.value.words == words


def test_what_was_said_before_a_failure_is_given_before_it() -> None:
    made = reply().take(read_piece(delta("content_filter", content="half")))
    assert next(made) == TextDelta(texts=("half",))
    with pytest.raises(NoAnswer):
        next(made)


def test_max_tokens_holds_for_an_endpoint_that_ignores_it() -> None:
    made = reply(max_tokens=3)
    events = take(made, *(delta(content=f"{n} ") for n in range(100)))
    assert (text_of(events), made.full, made.finish_reason, made.pieces) == ("0 1 2 ", True, "length", 3)


def test_an_endpoint_that_keeps_to_max_tokens_is_not_cut() -> None:
    made = reply(max_tokens=3)
    take(made, delta(content="", role="assistant"), *(delta(content="x") for _ in range(3)), delta("stop"))
    assert (made.full, made.finish_reason) == (False, "stop")


def test_max_tokens_holds_for_text_that_comes_in_one_lump() -> None:
    text, _, _ = whole(delta("stop", content="é" * 1000), max_tokens=4)
    assert text == "é" * 32


@pytest.mark.parametrize("said", [{"content": "x" * 60}, {"reasoning": "x" * 60}, {"refusal": "x" * 60}])
def test_an_answer_is_bounded_in_bytes(said: dict[str, Any]) -> None:
    made = reply(max_bytes=100)
    events = take(made, *(delta(**said) for _ in range(5)))
    assert len(text_of(events) + text_of(events, "reasoning")) <= 100
    assert (made.full, made.finish_reason) == (True, "length")


def test_calls_count_towards_the_bounds() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "look", "arguments": '{"a": "' + "x" * 1000}}
    made = reply(max_bytes=100)
    take(made, delta(tool_calls=[call]))
    (cut,) = [event for event in made.close() if isinstance(event, Malformed)]
    assert (made.full, made.finish_reason, len(cut.text) <= 101) == (True, "length", True)


def test_usage_is_the_last_that_was_told() -> None:
    made = reply()
    take(
        made, {**delta(content="x"), "usage": {"completion_tokens": 1}}, {"choices": [], "usage": {"prompt_tokens": 5}}
    )
    assert made.usage == Usage(prompt_tokens=5)


def test_halves_of_a_character_do_not_break_the_bounds() -> None:
    assert text_of(take(reply(max_bytes=5), delta(content="ab\ud83d\ude00"))) == "ab"
    assert text_of(take(reply(max_bytes=8), delta(content="ab\ud83d\ude00"))) == "ab\ud83d\ude00"
