"""Which agent a request is for, told by its words: for models that cannot choose one. Does no I/O."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from agentgw_daemon.calling.relevance import rank, terms
from agentgw_daemon.calling.view import ToolView

DELEGATE: Final = "delegate_to_agent"
# As between skills: an agent's words are clear when it has so many times the score of the next.
_MARGIN: Final = 1.3


def narrowed(tool: ToolView, request: str) -> ToolView:
    """`delegate_to_agent` with the one agent that the request names, or is about; any other tool as it is.

    Its description has an agent a line (`- NAME: what it does`); their words are what requests for it hold.
    """
    if tool.name != DELEGATE:
        return tool
    agents = _agents(tool)
    said = request.lower().replace("_", "-")
    chosen = [name for name in agents if name in said]
    if not chosen:
        found = rank(request, [ToolView(name=name, description=does, parameters={}) for name, does in agents.items()])
        if found and (len(found) == 1 or found[0][1] >= _MARGIN * found[1][1]):
            chosen = [found[0][0].name]
    if not chosen:
        return tool
    words = [word for name in chosen for word in terms(f"{name.replace('-', ' ')} {agents[name]}")]
    return dataclasses.replace(
        tool, parameters=_with_agents(tool.parameters, chosen), keywords=(*tool.keywords, *words)
    )


def _agents(tool: ToolView) -> dict[str, str]:
    """What each agent does."""
    lines = dict(line[2:].partition(": ")[::2] for line in tool.description.splitlines() if line.startswith("- "))
    names = tool.parameters.get("properties", {}).get("skill", {}).get("enum", ())
    return {str(name): lines.get(str(name), "") for name in names}


def _with_agents(parameters: Any, names: list[str]) -> dict[str, Any]:
    properties = parameters["properties"]
    return {**parameters, "properties": {**properties, "skill": {**properties["skill"], "enum": names}}}
