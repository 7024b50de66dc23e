"""The JSON in what models write around it, however the text is cut."""

from __future__ import annotations

import pytest

from agentgw_daemon.tool_calling.answers.events import AnswerText, Reasoning
from agentgw_daemon.tool_calling.answers.json_answer import json_parser

JSON = '{"a": "one ``` <think> \\" }", "b": [1]}'


def read(*pieces: str) -> tuple[str, str]:
    """The answer and the reasoning."""
    parser = json_parser()
    events = [event for piece in pieces for event in parser.feed(piece)] + parser.close()
    texts = ["".join(one.text for one in events if isinstance(one, kind)) for kind in (AnswerText, Reasoning)]
    return texts[0], texts[1].strip()


@pytest.mark.parametrize(
    ("written", "answer", "reasoning"),
    [
        (JSON, JSON, ""),
        (f"\n {JSON}", JSON, ""),
        (f"```json\n{JSON}\n```", JSON, ""),
        (f"```\n{JSON}\n```\n", JSON, ""),
        (f"```JSON {JSON}```", JSON, ""),
        (f"```{JSON}```", JSON, ""),
        (f"```json\r\n{JSON}\r\n```", JSON, ""),
        (f"<think>hm {{</think>\n\n{JSON}", JSON, "hm {"),
        (f"<think></think>{JSON}", JSON, ""),
        (f"Let me see.\n</think>\n{JSON}", JSON, "Let me see."),
        (f"<think>a</think><think>b</think>```json\n{JSON}\n```", JSON, "ab"),
        (f"~~~json\n{JSON}\n~~~", JSON, ""),
        (f"````json\n{JSON}\n````", JSON, ""),
        ("~~~~\ntrue\n~~~~", "true", ""),
        (f"\ufeff{JSON}", JSON, ""),
        (f"\u200b\n\ufeff```json\n{JSON}\n```", JSON, ""),
        (f"<thinking>hm</thinking>{JSON}", JSON, "hm"),
        (f"<thought>a</thought>\n<reasoning>b</reasoning>{JSON}", JSON, "ab"),
        (f"hm</thinking>{JSON}", JSON, "hm"),
        ("[1, 2]", "[1, 2]", ""),
        ("```\ntrue\n```", "true", ""),
        ("```true```", "true", ""),
        ("42", "42", ""),
        ("", "", ""),
        ("```json\n```", "", ""),
        # Nothing of this is JSON, and nothing is made of it.
        (f"Here it is: {JSON}", f"Here it is: {JSON}", ""),
        (f"```json\n{JSON}\n```\nDone.", f"{JSON}Done.", ""),
        ('```json\n{"a": 1', '{"a": 1', ""),
        ("<think>never ends", "", "never ends"),
        ("{} {}", "{} {}", ""),
    ],
)
def test_what_stands_around_the_json_is_not_the_answer(written: str, answer: str, reasoning: str) -> None:
    assert read(written) == (answer, reasoning)
    assert read(*written) == (answer, reasoning)


def test_an_object_is_passed_on_as_it_comes() -> None:
    parser = json_parser()
    assert parser.feed('{"a": ') == [AnswerText(text='{"a": ')]
