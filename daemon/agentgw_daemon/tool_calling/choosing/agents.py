"""Choice of an agent and its task by the words of a request: for models that can choose neither. Does no I/O."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentgw_daemon.tool_calling.choosing.relevance import rank, terms
from agentgw_daemon.tool_calling.prompting.messages import ModelMessage, ToolOutcome
from agentgw_daemon.tool_calling.prompting.view import ToolView

DELEGATE: Final = "delegate_to_agent"
# Made for what no other is made for.
_GENERAL: Final = "general-assistant"
# As between skills: an agent's words are clear when it has so many times the score of the next.
_MARGIN: Final = 1.3
# Between the name of an agent and what it is to do: `: `, ` to `.
_AFTER_NAME: Final = re.compile(r"[\s,:;.!-]*(?:to\s+|please\s+)*", re.I)


# Form that a model of 135 million parameters needs to see to pass an answer on; asked for it in words, it answers anew.
_PASSED_ON: Final = (
    ("writer", "Water boils at 100 degrees."),
    ("tester", "- The first test passed.\n- The second one failed:\n```\nE1\n```"),
)


def passed_on(outcome: ToolOutcome) -> tuple[ModelMessage, ...]:
    """The prompt by which a weak model gives an agent's answer to the user."""
    made: list[ModelMessage] = [{"role": "system", "content": "Pass on what others have answered, word for word."}]
    for agent, answer in _PASSED_ON:
        made.append({"role": "user", "content": f"{agent} answered:\n{answer}"})
        made.append({"role": "assistant", "content": answer})
    asked = f"{outcome.arguments.get('skill', 'agent')} answered:\n{outcome.content.strip()}"
    return (*made, {"role": "user", "content": asked})


def narrowed(tool: ToolView, request: str) -> ToolView:
    """`delegate_to_agent` with the one agent that the request names or is about, and the task in the request's words.

    Any other tool as it is. The description has an agent a line (`- NAME: what it does`). A weak model would make up a
    task, and the agent sees nothing else: so it is what follows the agent's name, or the whole request.
    """
    agents = _agents(tool) if tool.name == DELEGATE else {}
    if not agents:
        return tool
    said = request.lower().replace("_", "-")
    named = [name for name in agents if name in said]
    chosen = named or _by_words(request, agents)
    words = [word for name in chosen for word in terms(f"{name.replace('-', ' ')} {agents[name]}")]
    after = [_AFTER_NAME.sub("", request[said.index(name) + len(name) :], count=1).strip() for name in named[:1]]
    task = (after[0] if after else "") or request
    if not chosen and _GENERAL in agents:
        chosen = [_GENERAL]
    return dataclasses.replace(
        tool, parameters=_filled(tool.parameters, chosen or list(agents), task), keywords=(*tool.keywords, *words)
    )


def is_handed_on(tool: ToolView, request: str) -> bool:
    """Tells whether the request names or is about an agent of `delegate_to_agent`, or speaks of handing it on.

    The words of its description, such as "another" and "part", are in any other request as well. True for other tools.
    """
    agents = _agents(tool) if tool.name == DELEGATE else {}
    said = request.lower().replace("_", "-")
    spoken_of = {term for word in tool.keywords for term in terms(word)} & set(terms(request))
    return not agents or bool(spoken_of) or any(name in said for name in agents) or bool(_by_words(request, agents))


def _by_words(request: str, agents: Mapping[str, str]) -> list[str]:
    found = rank(request, [ToolView(name=name, description=does, parameters={}) for name, does in agents.items()])
    if found and (len(found) == 1 or found[0][1] >= _MARGIN * found[1][1]):
        return [found[0][0].name]
    return []


def _agents(tool: ToolView) -> dict[str, str]:
    """The agents that a tool offers, with the task of each."""
    lines = dict(line[2:].partition(": ")[::2] for line in tool.description.splitlines() if line.startswith("- "))
    names = tool.parameters.get("properties", {}).get("skill", {}).get("enum", ())
    return {str(name): lines.get(str(name), "") for name in names}


def _filled(parameters: Mapping[str, Any], names: Sequence[str], task: str) -> dict[str, Any]:
    properties = parameters["properties"]
    skill = {**properties["skill"], "enum": list(names)}
    return {**parameters, "properties": {**properties, "skill": skill, "task": {"type": "string", "enum": [task]}}}
