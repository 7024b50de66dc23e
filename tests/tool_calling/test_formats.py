from __future__ import annotations

import json

import pytest

from agentgw_daemon.tool_calling.answers.events import AnswerText, Reasoning
from agentgw_daemon.tool_calling.formats import PLAIN, choose
from tests.workers.model.template.templates import HERMES, LLAMA, MISTRAL, TAGGED

FAMILIES = {
    HERMES: "hermes", TAGGED: "hermes", MISTRAL: "mistral", LLAMA: "llama", "<function=x>": "tagged",
    "<|tool_call|>": "pipe", "x <|channel|> <|message|>": "harmony", "<｜tool▁call▁begin｜>": "deepseek",
}  # fmt: skip


@pytest.mark.parametrize("template", FAMILIES)
def test_the_markers_in_a_template_tell_its_format(template: str) -> None:
    chosen = choose(template, takes_tools=True)
    assert (chosen.name, chosen.native) == (FAMILIES[template], True)


@pytest.mark.parametrize("template", ["", "{{ tools }}", "<tool_call> <arg_key>"])
def test_a_template_whose_calls_nobody_here_can_read_is_not_native(template: str) -> None:
    assert not choose(template, takes_tools=True).native


def test_markers_alone_do_not_make_a_template_native() -> None:
    assert choose(HERMES, takes_tools=False) == PLAIN


def test_the_channels_of_harmony_are_read_without_tools_too() -> None:
    chosen = choose("<|channel|><|message|>", takes_tools=False)
    assert not chosen.native
    parser = chosen.parser()
    assert parser.feed("<|channel|>analysis<|message|>hm<|end|>") == [Reasoning(text="hm")]


@pytest.mark.parametrize(("takes_tools", "name"), [(True, "hermes"), (False, "plain")])
def test_a_prompt_that_ends_in_reasoning_is_gone_on_with(takes_tools: bool, name: str) -> None:
    chosen = choose(HERMES, takes_tools=takes_tools, prompt_end="<|im_start|>assistant\n<think>\n")
    assert chosen.name == name
    parser = chosen.parser()
    events = [*parser.feed("so it is"), *parser.feed("</think>\n\nYes"), *parser.close()]
    assert events == [Reasoning(text="so it is"), AnswerText(text="Yes")]


def test_a_stray_end_of_reasoning_is_not_shown() -> None:
    parser = PLAIN.parser()
    assert [*parser.feed("Yes</think> no"), *parser.close()] == [AnswerText(text="Yes"), AnswerText(text="no")]


def test_calls_are_text_to_a_model_that_knows_none() -> None:
    text = json.dumps({"name": "a", "arguments": {}})
    parser = PLAIN.parser()
    assert parser.feed(f"<tool_call>{text}</tool_call>") == [AnswerText(text=f"<tool_call>{text}</tool_call>")]
