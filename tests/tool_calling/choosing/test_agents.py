"""Choice of an agent and its task, by the words of a request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentgw_daemon.tool_calling.answers.events import ModelToolCall
from agentgw_daemon.tool_calling.choosing.agents import narrowed
from agentgw_daemon.tool_calling.prompting.few_shot import view
from agentgw_daemon.tool_calling.prompting.messages import ToolOutcome
from agentgw_daemon.tool_calling.prompting.view import ToolView
from agentgw_daemon.tool_calling.steps import NarrowSteps

AGENTS = {
    "general-assistant": "Answers questions, explains, writes and rewrites text",
    "code-assistant": "Writes, explains, reviews and repairs code, shell commands and configuration files",
    "quick-assistant": "Gives the shortest useful answer - a word, a number, a command",
    "summarize-document": "Summarises a text, file, log, mail thread or set of notes",
}


def tool(**agents: str) -> ToolView:
    known = agents or AGENTS
    lines = "\n".join(f"- {name}: {does}" for name, does in known.items())
    parameters = {
        "type": "object",
        "properties": {"skill": {"type": "string", "enum": list(known)}, "task": {"type": "string", "maxLength": 99}},
        "required": ["skill", "task"], "additionalProperties": False,
    }  # fmt: skip
    return view("delegate_to_agent", f"Let another agent do one part of the work.\n{lines}", parameters)


def choices(request: str, **agents: str) -> tuple[list[str], list[str]]:
    properties = narrowed(tool(**agents), request).parameters["properties"]
    return properties["skill"]["enum"], properties["task"]["enum"]


@pytest.mark.parametrize(
    ("request_", "agent", "task"),
    [
        ("Ask quick-assistant what the capital of France is", "quick-assistant", "what the capital of France is"),
        ("Delegate to code_assistant: add two numbers", "code-assistant", "add two numbers"),
        ("Let Code-Assistant review rm -rf /", "code-assistant", "review rm -rf /"),
        ("Ask general-assistant to please write a letter", "general-assistant", "write a letter"),
        ("Summarize this text: cats sleep", "summarize-document", "Summarize this text: cats sleep"),
        ("Write a shell command that lists files", "code-assistant", "Write a shell command that lists files"),
        ("What is 2+2? Give it to quick-assistant.", "quick-assistant", "What is 2+2? Give it to quick-assistant."),
        ("Which city is it? Delegate it.", "general-assistant", "Which city is it? Delegate it."),
    ],
)
def test_an_agent_is_chosen_by_name_or_words_and_told_what_was_said(request_: str, agent: str, task: str) -> None:
    assert choices(request_) == ([agent], [task])


def test_where_words_say_nothing_and_nobody_is_made_for_the_rest_all_can_be_chosen() -> None:
    assert choices("Delegate it", one="Does this", two="Does that") == (["one", "two"], ["Delegate it"])


def test_two_agents_that_are_named_can_both_be_chosen() -> None:
    assert choices("Let code-assistant or quick-assistant do it")[0] == ["code-assistant", "quick-assistant"]


def test_other_tools_are_left_as_they_are() -> None:
    other = view("read_file", "Read a file", {"type": "object", "properties": {}})
    assert narrowed(other, "Ask code-assistant") is other


def led(request: str) -> Any:
    steps = NarrowSteps([{"role": "user", "content": request}], [tool()])
    return steps, steps.next_step()


@pytest.mark.parametrize("request_", ["Move to another city.", "Do one part of it", "Plan a garden."])
def test_a_request_that_only_shares_words_with_the_tool_is_answered(request_: str) -> None:
    assert led(request_)[1].schema is None


@pytest.mark.parametrize("request_", ["Delegate it", "Let code_assistant do it", "Review this code"])
def test_a_request_that_speaks_of_agents_or_is_about_one_leads_to_a_call(request_: str) -> None:
    assert led(request_)[1].schema is not None


def test_a_request_that_is_for_an_agent_leads_to_the_call() -> None:
    steps, ask = led("Write a shell command that lists files")
    assert ask.schema is not None
    arguments = {"skill": "code-assistant", "task": "Write a shell command that lists files"}
    call = steps.feed(json.dumps({"tool": "delegate_to_agent", "arguments": arguments}))
    assert isinstance(call, ModelToolCall)
    assert (call.name, json.loads(call.arguments)) == ("delegate_to_agent", arguments)


def test_what_the_agent_answered_is_passed_on_and_a_failure_is_told() -> None:
    steps, _ = led("Ask quick-assistant what 2+2 is")
    call = {"tool": "delegate_to_agent", "arguments": {"skill": "quick-assistant", "task": "what 2+2 is"}}
    steps.feed(json.dumps(call))
    steps.add(ToolOutcome(name="delegate_to_agent", arguments=call["arguments"], content="Four.\n"))
    ask = steps.next_step()
    assert (ask.schema, ask.verbatim, ask.max_tokens) == (None, True, 35), "it ends, even if the model would go on"
    assert ask.messages[-1]["content"] == "quick-assistant answered:\nFour."
    steps, _ = led("Ask quick-assistant what 2+2 is")
    for _ in range(2):
        steps.feed(json.dumps(call))
        steps.add(
            ToolOutcome(name="delegate_to_agent", arguments=call["arguments"], content="error: it is gone", ok=False)
        )
    ask = steps.next_step()
    assert not ask.verbatim
    assert "error: it is gone" in ask.messages[-1]["content"]


@pytest.mark.parametrize("request_", ["Plan a birthday party", "Tell me a joke", "Hello"])
def test_a_request_that_is_for_nobody_is_answered(request_: str) -> None:
    assert led(request_)[1].schema is None
