"""Names that a skill gives of other things: models, tools, sub-agents. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agentgw.protocol import types


def unknown_references(
    skill: types.Skill,
    *,
    model_problem: Callable[[str], str],
    has_tool: Callable[[str], bool],
    has_skill: Callable[[str], bool],
) -> Iterator[str]:
    """A line for each name that nothing has here; the skill may be meant for a place where something has."""
    if skill.model is not None and (problem := model_problem(skill.model)):
        yield f"model {skill.model}: {problem}"
    for name in skill.allowed_tools or ():
        if not has_tool(name):
            yield f"allowed-tools: there is no tool {name}"
    for name in skill.sub_agents or ():
        if name != skill.name and not has_skill(name):
            yield f"sub-agents: there is no skill {name}"
