"""Every recorded answer of every family, whole and cut into pieces in any way."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.tool_calling.answers.events import AnswerText, Malformed, ModelToolCall, ParseEvent, Reasoning
from agentgw_daemon.tool_calling.formats import NAMES, Format, choose

FILES = {path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "samples").glob("*.json"))}
SAMPLES = [(name, sample) for name, file in FILES.items() for sample in file["samples"]]
IDS = [f"{name}: {sample['what']}" for name, sample in SAMPLES]
OUTPUTS = [(name, sample["output"]) for name, sample in SAMPLES]
# Pieces that markers, JSON and answers are made of, to be put together at random.
PIECES = sorted(
    {text[start:end] for _, text in OUTPUTS for start, end in ((0, 9), (0, 14), (9, 22), (22, 40), (-16, -1))}
)


def format_of(name: str) -> Format:
    return choose(FILES[name]["template"], takes_tools=True)


def read(name: str, pieces: Iterable[str]) -> list[ParseEvent]:
    parser = format_of(name).parser()
    events = [event for piece in pieces for event in parser.feed(piece)]
    return joined(events + parser.close())


def joined(events: list[ParseEvent]) -> list[ParseEvent]:
    made: list[ParseEvent] = []
    for event in events:
        match made[-1:], event:
            case [AnswerText(text=before)], AnswerText(text=text):
                made[-1] = AnswerText(text=before + text)
            case [Reasoning(text=before)], Reasoning(text=text):
                made[-1] = Reasoning(text=before + text)
            case _:
                made.append(event)
    return made


def cut(text: str, places: Iterable[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in itertools.pairwise(edges)]


def plain(event: ParseEvent) -> dict[str, Any]:
    match event:
        case AnswerText(text=text):
            return {"text": text}
        case Reasoning(text=text):
            return {"reasoning": text}
        case ModelToolCall(name=name, arguments=arguments):
            return {"call": name, "arguments": json.loads(arguments)}
        case Malformed(reason=reason):
            return {"malformed": reason}


def test_every_format_has_samples() -> None:
    assert set(NAMES) == FILES.keys()
    assert all(format_of(name).name == name for name in FILES)


@pytest.mark.parametrize("name", FILES)
def test_each_format_has_samples_of_one_call_two_calls_a_broken_one_and_one_that_is_cut_off(name: str) -> None:
    events = [sample["events"] for sample in FILES[name]["samples"]]
    calls = [sum("call" in event for event in one) for one in events]
    reasons = [event["malformed"] for one in events for event in one if "malformed" in event]
    assert 1 in calls
    assert 2 in calls
    assert "cut off" in reasons
    assert {*reasons} - {"cut off"}


@pytest.mark.parametrize(("name", "sample"), SAMPLES, ids=IDS)
def test_a_recorded_answer_is_read_as_what_it_is(name: str, sample: dict[str, Any]) -> None:
    found = [plain(event) for event in read(name, [sample["output"]])]
    expected: list[dict[str, Any]] = joined_plain(sample["events"])
    assert len(found) == len(expected), found
    for one, other in zip(found, expected, strict=True):
        if "malformed" in other:
            assert other["malformed"] in one["malformed"]
        else:
            assert one == other


def joined_plain(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for event in events:
        if made and "text" in event and "text" in made[-1]:
            made[-1] = {"text": made[-1]["text"] + event["text"]}
        else:
            made.append(event)
    return made


@pytest.mark.parametrize(("name", "text"), OUTPUTS, ids=IDS)
def test_a_character_at_a_time_gives_the_same(name: str, text: str) -> None:
    assert read(name, text) == read(name, [text])


@given(st.sampled_from(OUTPUTS), st.lists(st.integers(0, 400)))
def test_any_cutting_of_an_answer_gives_the_same(sample: tuple[str, str], places: list[int]) -> None:
    name, text = sample
    assert read(name, cut(text, places)) == read(name, [text])


@given(
    st.sampled_from(sorted(FILES)),
    st.lists(st.sampled_from(PIECES) | st.text(max_size=5)),
    st.lists(st.integers(0, 999)),
)
def test_any_cutting_of_any_text_gives_the_same(name: str, pieces: list[str], places: list[int]) -> None:
    text = "".join(pieces)
    assert read(name, cut(text, places)) == read(name, [text])


@given(st.sampled_from(OUTPUTS), st.integers(0, 400))
def test_an_answer_that_ends_anywhere_shows_no_part_of_a_call(sample: tuple[str, str], end: int) -> None:
    name, text = sample
    shown = "".join(event.text for event in read(name, [text[:end]]) if isinstance(event, AnswerText))
    whole = "".join(event.text for event in read(name, [text]) if isinstance(event, AnswerText))
    # Whatever is not in the whole answer's text can only be a marker that was not finished.
    assert len(shown) <= len(whole) + 25
    assert '"arguments"' not in shown


@pytest.mark.parametrize("name", FILES)
def test_text_is_passed_on_at_once_and_held_only_while_it_may_be_a_marker(name: str) -> None:
    parser = format_of(name).parser()
    assert parser.feed("Paris is") == [AnswerText(text="Paris is")]
    assert parser.feed(" nice") == [AnswerText(text=" nice")]
    for marker in markers(name):
        assert parser.feed(marker[:-1]) == []
        assert joined(parser.feed("~")) == [AnswerText(text=marker[:-1] + "~")]


def markers(name: str) -> list[str]:
    known = {
        "hermes": ["<tool_call>"], "mistral": ["[TOOL_CALLS]"], "llama": ["<|python_tag|>"], "tagged": ["<function="],
        "fenced": ["```tool_code"], "pipe": ["<|tool_call|>"], "nemotron": ["<TOOLCALL>"],
    }  # fmt: skip
    return ["<|channel|>"] if name == "harmony" else ["<think>", *known.get(name, [])]


def test_a_long_argument_is_read_in_one_pass() -> None:
    text = "x" * 400_000
    opening, closing = '<tool_call>{"name": "write_file", "arguments": {"content": "', '"}}</tool_call>'
    pieces = [opening, *cut(text, range(0, 400_000, 40)), closing]
    assert read("hermes", pieces) == [ModelToolCall(name="write_file", arguments=json.dumps({"content": text}))]
