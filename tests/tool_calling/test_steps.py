from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from agentgw_daemon.tool_calling.answers.events import Malformed, ModelToolCall
from agentgw_daemon.tool_calling.prompting.messages import ToolOutcome
from agentgw_daemon.tool_calling.steps import GuidedSteps, NarrowSteps, StepPrompt, WideSteps, read_step
from tests.tool_calling.toolset import TOOLS

SYSTEM = {"role": "system", "content": "Be kind."}


def asked(request: str) -> list[dict[str, Any]]:
    return [SYSTEM, {"role": "user", "content": request}]


def narrow(request: str) -> NarrowSteps:
    return NarrowSteps(asked(request), TOOLS)


def wide(request: str = "What does a.txt say?") -> WideSteps:
    return WideSteps(asked(request), TOOLS)


def written(tool: str, **arguments: Any) -> str:
    return json.dumps({"tool": tool, "arguments": arguments})


def allows(ask: StepPrompt, text: str) -> bool:
    assert ask.schema is not None
    return jsonschema.Draft202012Validator(ask.schema).is_valid(json.loads(text))


READ = written("read_file", path="a.txt")
DONE = ToolOutcome(name="read_file", arguments={"path": "a.txt"}, content="milk")


def test_every_tool_and_the_answer_may_be_chosen_and_nothing_else() -> None:
    ask = wide().next_step()
    assert allows(ask, READ)
    assert allows(ask, written("current_time"))
    assert allows(ask, '{"tool": "answer"}')
    for text in ('{"tool": "none", "arguments": {}}', written("read_file"), written("read_file", path=1), "{}"):
        assert not allows(ask, text)


def test_a_call_its_result_another_choice_and_the_answer() -> None:
    steps = wide()
    steps.next_step()
    assert steps.feed(READ) == ModelToolCall(name="read_file", arguments='{"path": "a.txt"}')
    steps.add(DONE)
    ask = steps.next_step()
    assert ask.schema is not None
    assert "milk" in ask.messages[-1]["content"]
    assert steps.feed('{"tool": "answer"}') is None
    assert steps.next_step().schema is None


def test_the_prompts_of_a_turn_only_grow() -> None:
    steps = wide()
    prompts = [steps.next_step().messages]
    steps.feed(READ)
    steps.add(replace(DONE, ok=False))
    prompts.append(steps.next_step().messages)
    steps.feed('{"tool": "answer"}')
    prompts.append(steps.next_step().messages)
    for before, after in itertools.pairwise(prompts):
        assert after[: len(before)] == before
        assert len(after) > len(before)


def test_the_tools_stand_at_the_end_of_the_system_text() -> None:
    system, user = wide("Hi").next_step().messages
    assert system["content"].startswith("Be kind.\n\n")
    assert "- read_file(path: str, start_line?: int): Read a text file\n" in system["content"]
    assert user["content"] == "Hi"
    alone = WideSteps([{"role": "user", "content": "Hi"}], TOOLS).next_step().messages
    assert [message["role"] for message in alone] == ["system", "user"]


def test_without_tools_the_answer_comes_at_once() -> None:
    for steps in (WideSteps(asked("Read a.txt"), ()), NarrowSteps(asked("Read a.txt"), ())):
        assert steps.next_step() == StepPrompt(messages=tuple(asked("Read a.txt")))


@pytest.mark.parametrize("steps", [wide(), narrow("Read a.txt")])
def test_a_call_that_is_cut_off_twice_ends_in_an_answer(steps: GuidedSteps) -> None:
    assert isinstance(steps.feed(READ[:-3]), Malformed)
    assert steps.next_step().schema is not None
    assert isinstance(steps.feed(READ[:-3]), Malformed)
    assert steps.next_step().schema is None


@pytest.mark.parametrize(
    "text", ["", "7", "{}", '{"tool": 1}', '{"tool": "a"}', '{"tool": "a", "arguments": []}', "[" * 9999]
)
def test_what_no_grammar_would_let_through_is_malformed(text: str) -> None:
    assert isinstance(read_step(text), Malformed)


def test_a_weak_model_is_given_one_tool_with_examples() -> None:
    ask = narrow("Read a.txt").next_step()
    assert allows(ask, READ)
    assert not allows(ask, written("list_files", path="a.txt"))
    system, *examples, user = ask.messages
    assert "read_file(path: str): Read a text file" in system["content"]
    assert user["content"] == "Read a.txt"
    assert [message["role"] for message in examples] == ["user", "assistant"] * 2
    assert all(allows_shape(message["content"]) for message in examples[1::2])


def allows_shape(text: str) -> bool:
    return isinstance(read_step(text), ModelToolCall)


def test_a_weak_model_can_name_only_the_files_that_the_request_names() -> None:
    ask = narrow("Read a.txt or b.txt").next_step()
    assert allows(ask, READ)
    assert allows(ask, written("read_file", path="b.txt"))
    assert not allows(ask, written("read_file", path="/etc/passwd"))


def test_a_weak_model_can_run_only_what_the_request_says() -> None:
    ask = narrow("Run git status").next_step()
    assert allows(ask, written("run_command", argv=["git", "status"]))
    for argv in (["rm"], ["git", "git"], ["status", "git"], []):
        assert not allows(ask, written("run_command", argv=argv))


@pytest.mark.parametrize("request_", ["What is the capital of France?", "Hello!", "Write an email to my boss", ""])
def test_a_request_for_no_tool_is_answered_at_once(request_: str) -> None:
    assert narrow(request_).next_step() == StepPrompt(messages=tuple(asked(request_)))


def test_a_weak_model_answers_after_one_result() -> None:
    steps = narrow("Read a.txt")
    steps.feed(READ)
    steps.add(DONE)
    ask = steps.next_step()
    assert ask.schema is None
    assert ask.messages[0] == SYSTEM
    assert len(ask.messages) == 2
    assert ask.messages[1]["content"].startswith("Read a.txt\n\n")
    assert "milk" in ask.messages[1]["content"]


def test_a_call_that_failed_is_tried_once_more_with_the_reason_in_sight() -> None:
    steps = narrow("Read a.txt")
    for _ in range(2):
        assert steps.next_step().schema is not None
        steps.feed(READ)
        steps.add(ToolOutcome(name="read_file", arguments={"path": "a.txt"}, content="there is no a.txt", ok=False))
        assert "there is no a.txt" in steps.next_step().messages[-1]["content"]
    assert steps.next_step().schema is None
