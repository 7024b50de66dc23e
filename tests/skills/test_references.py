from __future__ import annotations

from agentgw.protocol.types import Skill
from agentgw_daemon.skills.references import unknown_references


def notes(**fields: object) -> list[str]:
    skill = Skill(name="boss", description="d", tier="user", path="/x/boss/SKILL.md", **fields)  # type: ignore[arg-type]  # of the parameters
    return list(
        unknown_references(
            skill, model_problem=lambda name: "" if name == "echo" else "there is no such model",
            has_tool=lambda name: name == "read_file", has_skill=lambda name: name == "cook",
        )
    )  # fmt: skip


def test_a_skill_that_names_nothing_or_what_exists_has_no_notes() -> None:
    assert notes() == []
    assert notes(model="echo", allowed_tools=("read_file",), sub_agents=("cook", "boss")) == []
    assert notes(allowed_tools=(), sub_agents=()) == []


def test_each_name_that_nothing_has_is_told() -> None:
    assert notes(model="eco", allowed_tools=("read_file", "red_file"), sub_agents=("cok", "cook")) == [
        "model eco: there is no such model", "allowed-tools: there is no tool red_file",
        "sub-agents: there is no skill cok",
    ]  # fmt: skip
